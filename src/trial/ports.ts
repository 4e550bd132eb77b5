import { createServer } from 'node:net';

/** The listeners of a trial, and the ports a trial likes best: the real ones with a 10 in front. */
export const likedPorts = {
  smtp_port: 10025,
  submission_port: 10587,
  submissions_port: 10465,
  imap_port: 10143,
  imaps_port: 10993,
} as const;

export type TrialPorts = { readonly [name in keyof typeof likedPorts]: number };

/** A port that an earlier start used is taken now: the links given out would lead to somebody else. */
export class PortTaken extends Error {
  override name = 'PortTaken';
}

/** Free ports on `host`: the liked ones where they are free, else any that the system gives. */
export async function chooseTrialPorts(host: string): Promise<TrialPorts> {
  const chosen: Record<string, number> = {};
  for (const [name, liked] of Object.entries(likedPorts)) {
    chosen[name] = (await freePort(host, liked)) ?? (await freePort(host, 0)) ?? liked;
  }
  return chosen as TrialPorts;
}

/** Throws PortTaken, naming the port and what to do, where one of `ports` is not free on `host`. */
export async function expectPortsFree(host: string, ports: TrialPorts, memory: string): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    if ((await freePort(host, port)) !== undefined) continue;
    throw new PortTaken(
      `port ${port} (${name}) of this trial is taken on ${host}: either the trial runs already, or another program ` +
        `has it; stop that one, or delete ${memory} to let the trial choose ports and accounts again`,
    );
  }
}

/** `port` (0: any) if it can be bound on `host` now. */
function freePort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(undefined));
    probe.listen(port, host, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}
