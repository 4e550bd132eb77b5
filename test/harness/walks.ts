import { pino } from 'pino';
import type { DkimFacts } from '../../src/authenticity/facts.ts';
import { createFilter } from '../../src/filter/filter.ts';
import { createBounce } from '../../src/mailflow/bounce.ts';
import { createReceive } from '../../src/mailflow/receive.ts';
import { createSubmit } from '../../src/mailflow/submit.ts';
import type { Envelope, TakeMessage } from '../../src/mailflow/verdict.ts';
import { createEvents } from '../../src/observe/events.ts';
import type { Plan, Store } from '../../src/store/contract.ts';
import { createTestClock } from './clock.ts';
import { openTestStore } from './store.ts';

export const DOMAIN = 'chat.test';
/** The domain whose signature every message is said to have. */
export const SIGNER = 'other.test';

/** Both walks over a fresh store, and what they made of it. */
export interface TestWalks extends AsyncDisposable {
  readonly receive: TakeMessage;
  readonly submit: TakeMessage;
  /** What was handed to the store, in order. */
  readonly plans: Plan[];
  /** The addresses in `plan` whose devices are woken. */
  wokenBy(plan: Plan | undefined): string[];
  /** The codes and events of the log, in order. */
  told(): string[];
  /** How many messages' signatures were looked at. */
  readonly checks: number;
  /** In place of the store's own. */
  accept: Store['accept'];
  /** The id of an account, by its local part. */
  idOf(local: string): string | undefined;
  /** What is in the queue: the destinations. */
  waiting(): Promise<readonly string[]>;
}

interface LogLine {
  readonly event: string;
  readonly code?: string;
  readonly reason?: string;
}

/** `accounts` are local parts; those in `cleartext` take cleartext. */
export async function createTestWalks(
  accounts: readonly string[],
  cleartext: readonly string[] = [],
  options: { readonly quota?: number } = {},
): Promise<TestWalks> {
  const { store, [Symbol.asyncDispose]: dispose } = await openTestStore(options);
  const addresses = new Map<string, string>();
  for (const local of accounts) {
    const { account } = await store.accounts.create(`${local}@${DOMAIN}`, 'hash', 0);
    addresses.set(account.id, account.address);
    if (cleartext.includes(local)) await store.accounts.setAcceptsCleartext(account.id, true);
  }
  const lines: LogLine[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as LogLine);
  const log = pino({ level: 'trace' }, { write });
  let checks = 0;
  const parts = {
    domain: DOMAIN,
    clock: createTestClock(),
    events: createEvents(log),
    filter: createFilter({ run: () => Promise.reject(new Error('nothing here is big')) }),
    checkDkim: async (): Promise<DkimFacts> => {
      checks += 1;
      return { count: 1, signatures: [{ domain: SIGNER, selector: 's', status: 'valid', reason: 'valid' }] };
    },
    store: {
      accounts: store.accounts,
      accept: (plan: Plan) => {
        walks.plans.push(plan);
        return walks.accept(plan);
      },
    },
  };
  const random = (bytes: number) => Buffer.alloc(bytes, 0xab);
  const walkParts = { ...parts, bounce: createBounce({ ...parts, random }) };
  const walks: TestWalks = {
    receive: createReceive(walkParts),
    submit: createSubmit(walkParts),
    plans: [],
    wokenBy: (plan) =>
      (plan?.deliveries ?? []).flatMap(({ account, push }) => (push ? (addresses.get(account) ?? '?') : [])),
    told: () => lines.map(({ event, code, reason }) => [event, code ?? reason].filter(Boolean).join(' ')),
    get checks() {
      return checks;
    },
    accept: (plan) => store.accept(plan),
    idOf: (local) => [...addresses].find(([, address]) => address === `${local}@${DOMAIN}`)?.[0],
    waiting: async () => (await store.queue.destinations(100)).map(({ destination }) => destination),
    [Symbol.asyncDispose]: dispose,
  };
  return walks;
}

export function envelope(recipients: readonly string[], changed: Partial<Envelope> = {}): Envelope {
  const addresses = recipients.map((one) => (one.includes('@') ? one : `${one}@${DOMAIN}`));
  return { sender: '', recipients: addresses, peer: '192.0.2.7', session: 'session', ...changed };
}
