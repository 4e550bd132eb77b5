/**
 * `npm run bench`: what each step in the life of a message costs on each store, side by side in one run, and how many
 * commands MongoDB gets for it. Figures of one machine say little, ratios and counts more. Takes a minute.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account, MailboxId, Store } from '../../src/store/contract.ts';
import { systemClock, systemRandom } from '../../src/machine.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { without } from '../harness/peers.ts';

const ROUNDS = 100;
const ACCOUNTS = 20;
const PARALLEL = 20;
/** As most messages of Delta Chat. */
const SIZE = 8000;

interface Opened extends AsyncDisposable {
  readonly store: Store;
  /** Commands that the database has got so far. */
  readonly commands: () => number;
}

/** What a step took. */
interface Cost {
  /** Milliseconds for one. */
  readonly median: number;
  readonly p99: number;
  readonly commands: number;
}

type Costs = ReadonlyMap<string, Cost>;

async function openSqlite(): Promise<Opened> {
  const dataDir = await mkdtemp(join(tmpdir(), 'teal-bench-'));
  const store = await openSqliteStore({ dataDir, quota: 2 ** 30, onChange: () => {} });
  return {
    store,
    commands: () => 0,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true });
    },
  };
}

async function openWildduck(): Promise<Opened> {
  const { openTestDatabase } = await import('../harness/test-database.ts');
  const { openWildduckStore } = await import('../../src/store/wildduck/open.ts');
  const { mongodbUrl, redisUrl, name, ...database } = await openTestDatabase();
  let commands = 0;
  const store = await openWildduckStore({
    mongodbUrl,
    redisUrl,
    database: name,
    clock: systemClock,
    random: systemRandom,
    quota: 2 ** 30,
    onChange: () => {},
    onCommand: () => (commands += 1),
  });
  return {
    store,
    commands: () => commands,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function bench({ store, commands }: Opened): Promise<Costs> {
  const costs = new Map<string, Cost>();
  const measure = async (
    step: string,
    rounds: number,
    work: (round: number) => Promise<unknown>,
    ofEach = 1,
  ) => {
    const times: number[] = [];
    const before = commands();
    for (let round = 0; round < rounds; round += 1) {
      const begun = performance.now();
      await work(round);
      times.push((performance.now() - begun) / ofEach);
    }
    times.sort((one, other) => one - other);
    costs.set(step, {
      median: times[Math.floor(rounds / 2)] ?? 0,
      p99: times[Math.floor(rounds * 0.99)] ?? 0,
      commands: (commands() - before) / rounds / ofEach,
    });
  };

  const accounts: Account[] = [];
  await measure('make an account', ACCOUNTS, async (round) => {
    const { account } = await store.accounts.create(`bench${round}@example.org`, 'hash', Date.now());
    accounts.push(account);
  });
  const inboxes: MailboxId[] = [];
  for (const { id } of accounts) inboxes.push((await store.mailboxes.find(id, 'INBOX'))!.id);
  const [alice] = accounts;
  const inbox = inboxes[0]!;
  const message = Buffer.concat([Buffer.from('Subject: [...]\r\n\r\n'), Buffer.alloc(SIZE, 'YWJj')]);
  const accept = (to: readonly Account[], bytes = message) =>
    store.accept({
      now: Date.now(),
      message: bytes,
      headerSize: 18,
      deliveries: to.map(({ id }) => ({ account: id, push: false })),
    });

  await accept([alice!]);
  await measure('accept', ROUNDS, () => accept([alice!]));
  await measure('look what is new', ROUNDS, () => store.messages.snapshot(inbox));
  const uid = (round: number) => round + 2;
  await measure('read', ROUNDS, async (round) => {
    await store.messages.get(inbox, [uid(round)]);
    await using body = await store.messages.body(inbox, uid(round));
    await body!.read(0, body!.size);
  });
  const deleted = { action: 'add', flags: ['\\Deleted'] } as const;
  await measure('mark as deleted', ROUNDS, (round) =>
    store.messages.storeFlags(inbox, [uid(round)], deleted),
  );
  await measure('expunge', ROUNDS, (round) => store.messages.expunge(inbox, [uid(round)]));
  await measure(`accept for ${ACCOUNTS}, each`, ROUNDS / 5, () => accept(accounts), ACCOUNTS);
  const big = Buffer.concat([message, Buffer.alloc(5 * 1024 * 1024, 'YWJj')]);
  await measure('accept 5 MB', 10, () => accept([alice!], big));
  await measure(
    `${PARALLEL} at once, each`,
    ROUNDS / 5,
    () => Promise.all(accounts.slice(0, PARALLEL).map((account) => accept([account]))),
    PARALLEL,
  );
  return costs;
}

const left = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');
if (left !== false) console.log(left);
const all: Costs[] = [];
for (const open of left === false ? [openSqlite, openWildduck] : [openSqlite]) {
  await using opened = await open();
  all.push(await bench(opened));
}
const [sqlite, wildduck] = all;
const ms = (value: number | undefined) => (value === undefined ? '' : value.toFixed(2)).padStart(9);
console.log('                       SQLite: ms      p99   WildDuck: ms      p99    ratio  commands');
for (const [step, cost] of sqlite ?? []) {
  const other = wildduck?.get(step);
  console.log(
    step.padEnd(20) + ms(cost.median).padStart(13) + ms(cost.p99) + ms(other?.median).padStart(15) + ms(other?.p99) +
      ms(other && other.median / cost.median) + (other ? other.commands.toFixed(1).padStart(10) : ''),
  ); // prettier-ignore
}
const life = ['accept', 'look what is new', 'read', 'mark as deleted', 'expunge'];
if (wildduck) {
  const commands = life.reduce((sum, step) => sum + (wildduck.get(step)?.commands ?? 0), 0);
  console.log(`Commands to MongoDB for a message that is accepted, read and deleted: ${commands.toFixed(1)}`);
}
