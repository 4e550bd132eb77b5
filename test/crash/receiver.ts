import { setTimeout as pause } from 'node:timers/promises';
import { createDnsServer } from '../harness/dns-server.ts';
import { inTurn, say } from '../harness/scripted-act.ts';
import type { Act } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import { TAKEN } from '../harness/scripted-mxdeliv.ts';
import type { TealProcess } from '../harness/teal-process.ts';
import { until } from '../harness/until.ts';

/** Where a message is when the relay is killed, and how long after that at most, in ms. */
export const STEPS = {
  // Accepting: the dot is sent, its answer is not there.
  submitting: 6,
  // Claiming, signing, finding the host.
  submitted: 6,
  connect: 3,
  mail: 1,
  rcpt: 1,
  data: 3,
  // The receiver has it, and has not said so.
  dot: 3,
  // Settling.
  answered: 5,
  refusing: 3,
  // The bounce, and then the settlement.
  refused: 10,
  // The same by /mxdeliv.
  post: 3,
  posted: 3,
  told: 5,
  turnedDown: 10,
} as const;
export type Step = keyof typeof STEPS;
/** The kill is at one of the first times that the step comes; connections are kept, so that there are few. */
const timesOf = (step: Step) => (step === 'connect' ? 2 : 12);

export const [SMTP, MXDELIV] = ['smtp.test', 'mxdeliv.test'];
/** Of the receiver: what it refuses for good. */
export const isRefused = (address: string) => address.startsWith('no');

/** Kills a relay at a drawn instant. */
export class Executioner {
  #order: { step: Step; left: number; kill: () => void } | undefined;

  /** Nobody was killed yet. */
  get waits(): boolean {
    return this.#order !== undefined;
  }

  /** Resolves when it is done. */
  at(step: Step, child: TealProcess): Promise<void> {
    return new Promise((resolve) => {
      const kill = () => void child.end('SIGKILL').then(() => resolve());
      this.#order = { step, left: 1 + Math.floor(Math.random() * timesOf(step)), kill };
    });
  }

  /** What the message is at now; resolves when it may go on, or its relay is dead. */
  async step(step: Step): Promise<void> {
    const order = this.#order;
    if (order?.step !== step) return;
    order.left -= 1;
    if (order.left > 0) return;
    this.#order = undefined;
    const wait = Math.floor(Math.random() * (STEPS[step] + 1));
    if (wait > 0) await pause(wait);
    order.kill();
  }
}

/** The other side of all mail: one host by SMTP, one by /mxdeliv. It goes on while relays come and go. */
export async function createReceiver(executioner: Executioner) {
  const dns = await createDnsServer();
  const hosts = await createScriptedHosts();
  for (const name of [SMTP, MXDELIV]) {
    dns.add({ name, type: 'MX', ttl: 60, data: { preference: 10, exchange: name } });
    dns.add({ name, type: 'A', ttl: 60, data: '127.0.0.1' });
  }
  const at =
    (step: Step): Act =>
    () =>
      executioner.step(step);
  const smtp = await hosts.smtp(SMTP, {
    // Each command waits for the answer to the one before, so that each is an instant of its own.
    offers: ['SIZE 10485760', '8BITMIME'],
    greeting: inTurn(at('connect'), say('220 scripted.test ESMTP')),
    mail: inTurn(at('mail'), say('250 2.1.0 ok')),
    rcpt: (address) =>
      isRefused(address)
        ? inTurn(at('refusing'), say('550 5.1.1 there is no such address'), at('refused'))
        : inTurn(at('rcpt'), say('250 2.1.5 ok')),
    data: inTurn(at('data'), say('354 go on')),
    dot: inTurn(at('dot'), say('250 2.0.0 taken'), at('answered')),
  });
  const mxdeliv = await hosts.mxdeliv(MXDELIV, async ({ recipients }) => {
    await executioner.step('posted');
    const refuses = recipients.some(isRefused);
    setImmediate(() => void executioner.step(refuses ? 'turnedDown' : 'told'));
    return refuses ? { status: 400, body: '550 5.1.1 there is no such address' } : TAKEN;
  });
  mxdeliv.early = () => void executioner.step('post');

  const refusedBySmtp = () =>
    smtp.connections.flatMap(({ commands }) =>
      commands.flatMap((line) => /^RCPT TO:<(no.*)>/.exec(line)?.[1] ?? []),
    );
  let told = { transactions: 0, refused: 0, requests: 0 };
  return {
    places: hosts.places,
    dialler: hosts.dialler,
    trustedCa: hosts.authority.cert,
    dns: dns.address,
    /** Resolves when nobody is connected any more: all that a dead relay has sent was read. */
    isLeft: () => until(() => smtp.open === 0 && mxdeliv.open === 0, 'the receiver is left'),
    /** Messages that have come, and recipients that were refused, so far. */
    seen: () => smtp.transactions.length + mxdeliv.requests.length + refusedBySmtp().length,
    /** What was taken and what was refused since the last call. */
    news() {
      const bySmtp = smtp.transactions
        .slice(told.transactions)
        .map(({ recipients, text }) => ({ addresses: recipients, text }));
      const refused = refusedBySmtp().slice(told.refused);
      const posts = mxdeliv.requests
        .slice(told.requests)
        .map(({ recipients, body }) => ({ addresses: recipients, text: body }));
      told = {
        transactions: told.transactions + bySmtp.length,
        refused: told.refused + refused.length,
        requests: told.requests + posts.length,
      };
      const turnedDown = posts.filter(({ addresses }) => addresses.some(isRefused));
      const taken = posts.filter((post) => !turnedDown.includes(post));
      return [
        [...bySmtp, ...taken],
        [...refused, ...turnedDown.flatMap(({ addresses }) => addresses)],
      ] as const;
    },
    async [Symbol.asyncDispose]() {
      await hosts[Symbol.asyncDispose]();
      await dns[Symbol.asyncDispose]();
    },
  };
}
export type Receiver = Awaited<ReturnType<typeof createReceiver>>;
