import { randomBytes } from 'node:crypto';
import type { Login } from '../../src/accounts/login.ts';
import type { Clock } from '../../src/clock.ts';
import type { ImapParts, Listener } from '../../src/imap/listener.ts';
import { fetchTasks } from '../../src/imap/fetch-parts.ts';
import { createImap } from '../../src/imap/listener.ts';
import { createAdmission } from '../../src/limits/admission.ts';
import { createByteBudget } from '../../src/limits/byte-budget.ts';
import { createChanges } from '../../src/notify/changes.ts';
import type { Events } from '../../src/observe/events.ts';
import { createEvents } from '../../src/observe/events.ts';
import { createLog } from '../../src/observe/log.ts';
import type { Account, Store } from '../../src/store/contract.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import type { ImapClient } from './imap-client.ts';
import { connectImap } from './imap-client.ts';
import { selfSigned } from './self-signed.ts';
import { openTestStore } from './store.ts';

/** An IMAP listener on a store of its own, with everything around it. */
export interface TestImap extends AsyncDisposable {
  readonly listener: Listener;
  readonly store: Store;
  /** Faults of ours that were logged; a test that expects none need not look: disposing throws them. */
  readonly faults: unknown[];
  /** Connects with TLS. */
  connect(): Promise<ImapClient>;
  /** Connects and logs in; the account is made if it is new, the password is always `secret`. */
  login(address?: string): Promise<ImapClient>;
  account(address?: string): Promise<Account>;
  /** Puts a message into INBOX as mail from outside comes; answers with its UID. */
  deliver(message: string | Buffer, address?: string): Promise<number>;
}

export interface TestImapOptions extends Partial<Omit<ImapParts, 'options' | 'store'>> {
  readonly options?: Partial<ImapParts['options']>;
  readonly clock?: Clock;
  /** Stands before the real store, to make it fail. */
  readonly wrapStore?: (store: Store) => Store;
  readonly quota?: number;
}

const realClock: Clock = {
  now: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

export const ADDRESS = 'alice1234@_teal.test';

export async function startImap(overrides: TestImapOptions = {}): Promise<TestImap> {
  const faults: unknown[] = [];
  const events: Events = {
    ...createEvents(createLog('silent')),
    fault: (where, error) => faults.push(where, error),
  };
  const changes = createChanges({ events });
  const opened = await openTestStore({
    onChange: changes.publish,
    ...(overrides.quota === undefined ? {} : { quota: overrides.quota }),
  });
  const store = overrides.wrapStore?.(opened.store) ?? opened.store;
  const clock = overrides.clock ?? realClock;

  const account = async (address = ADDRESS) =>
    (await opened.store.accounts.create(address, 'no-hash', clock.now())).account;
  const login: Login = async (address, password) => {
    if (password === 'down') return { kind: 'unavailable', reason: 'test' };
    if (password !== 'secret') return { kind: 'refused', reason: 'wrong password' };
    const { account: found, created } = await opened.store.accounts.create(address, 'no-hash', clock.now());
    return { kind: 'ok', account: found, created };
  };

  const mode = overrides.mode ?? 'implicit';
  const listener = await createImap({
    host: '127.0.0.1',
    port: 0,
    certificate: createCertificate(await selfSigned()),
    login,
    changes,
    random: randomBytes,
    admission: createAdmission({ max: 1000, maxPerPeer: 1000 }),
    byteBudget: createByteBudget(256 * 1024 * 1024),
    pool: { run: async (task, input) => fetchTasks[task](input) },
    events,
    ...overrides,
    mode,
    clock,
    store,
    options: { maxMessageSize: 30 * 1024 * 1024, compress: false, ...overrides.options },
  });

  const connect = () => connectImap({ port: listener.port, tls: mode === 'implicit' });
  return {
    listener,
    store: opened.store,
    faults,
    connect,
    account,
    async login(address = ADDRESS) {
      const client = await connect();
      if (mode === 'starttls') await client.startTls();
      const answer = await client.command(`LOGIN ${address} secret`);
      if (answer.status !== 'OK') throw new Error(`LOGIN: ${answer.text}`);
      return client;
    },
    async deliver(message, address = ADDRESS) {
      const bytes = Buffer.from(message);
      const { id } = await account(address);
      const end = bytes.indexOf('\r\n\r\n');
      const { deliveries } = await opened.store.accept({
        now: clock.now(),
        message: bytes,
        headerSize: end < 0 ? bytes.length : end + 4,
        deliveries: [{ account: id, push: false }],
      });
      const [outcome] = deliveries;
      if (outcome?.kind !== 'delivered') throw new Error(`not delivered: ${outcome?.kind ?? 'nothing'}`);
      return outcome.uid;
    },
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
      if (faults.length > 0) throw new AggregateError(faults, `faults: ${faults.map(String).join('; ')}`);
    },
  };
}
