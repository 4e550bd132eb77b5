import { bad, ok, warn } from './line.ts';
import type { Line } from './line.ts';

/** Who has a port, as far as this user can see. */
export type PortHolder =
  | { readonly kind: 'free' }
  /** Nobody has it, and this user may not bind it. */
  | { readonly kind: 'denied' }
  /** listen_address is not of this machine. */
  | { readonly kind: 'no address' }
  /** Undefined where the program is another user's, and hidden. */
  | {
      readonly kind: 'taken';
      readonly program: { readonly name: string; readonly pid: number; readonly isTeal: boolean } | undefined;
    };

export interface PortFact {
  /** The key of its setting. */
  readonly key: string;
  readonly port: number;
  readonly holder: PortHolder;
}

/** Whether one of the ports is a Teal's. */
export function isRunning(ports: readonly PortFact[]): boolean {
  return ports.some(({ holder }) => holder.kind === 'taken' && holder.program?.isTeal === true);
}

export function judgePorts(ports: readonly PortFact[]): readonly Line[] {
  const running = isRunning(ports);
  return ports.map((fact) => judgePort(fact, running));
}

function judgePort({ key, port, holder }: PortFact, running: boolean): Line {
  const topic = `port ${port}`;
  switch (holder.kind) {
    case 'free':
      return running
        ? bad(
            topic,
            `${key}: nobody listens, though Teal runs: were the settings changed since it was started?`,
          )
        : ok(topic, `${key}: free, Teal is not running`);
    case 'denied':
      return warn(
        topic,
        `${key}: may not be bound by this user; the user that Teal runs as needs CAP_NET_BIND_SERVICE`,
      );
    case 'no address':
      return bad(topic, `${key}: listen_address is not an address of this machine`);
    case 'taken': {
      const { program } = holder;
      if (program === undefined)
        return warn(topic, `${key}: taken by a program that this user may not look at; ask again as root`);
      const named = `${program.name} (process ${program.pid})`;
      if (program.isTeal) return ok(topic, `${key}: Teal listens, ${named}`);
      // The other half of a container whose port is published: what is in there is not seen from here.
      return program.name === 'docker-proxy' || program.name === 'rootlessport'
        ? warn(
            topic,
            `${key}: taken by ${named}: a container, whether it is that of Teal is not seen from here`,
          )
        : bad(topic, `${key}: taken by ${named}: stop it, or give Teal another port`);
    }
  }
}
