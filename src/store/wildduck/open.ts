import { hostname } from 'node:os';
import type { Change, Plan, SignUpTokens, Store, StoreOptions } from '../contract.ts';
import { hour, minute } from '../../clock.ts';
import type { Clock, Random } from '../../clock.ts';
import { createAcceptance } from './accept.ts';
import { createAccounts } from './accounts.ts';
import { createAdopt } from './adopt.ts';
import { createPing, mayPass, openWhenThere } from './availability.ts';
import { createBackground } from './background.ts';
import { connect, wrap } from './connect.ts';
import type { ConnectOptions } from './connect.ts';
import type { Core } from './core.ts';
import { createDatabaseClock } from './database-clock.ts';
import { createDeliver } from './deliver.ts';
import type { JournalDocument } from './documents.ts';
import { createExclusive } from './exclusive.ts';
import { createNextFence } from './fence.ts';
import { createFiles } from './files.ts';
import { objectId } from './ids.ts';
import { openBus } from './open-bus.ts';
import { createRateMeter } from './rate-meter.ts';
import { createGate } from './gate.ts';
import { createInboxes } from './inboxes.ts';
import { createMailboxes } from './mailboxes.ts';
import { createMessages } from './messages.ts';
import { createPushJobs } from './push-jobs.ts';
import { createQueue } from './queue.ts';
import { createQueueDestinations } from './queue-destinations.ts';
import { createQueueRows } from './queue-rows.ts';
import { createReads } from './reads.ts';
import { createRemoval } from './removal.ts';
import { createRepair } from './repair.ts';
import { createRounds } from './rounds.ts';
import { createSignUpTokens } from './sign-up-tokens.ts';
import { createTokens } from './tokens.ts';
import { createUpkeep } from './upkeep.ts';
import { createValues } from './values.ts';
import { createVisible } from './visible.ts';
import { loadWildduck } from './wildduck.ts';

export interface WildduckOptions extends StoreOptions, Omit<ConnectOptions, 'onFault'> {
  readonly clock: Clock;
  readonly random: Random;
  /** What went wrong that no caller waits for; the store goes on. Without it such faults are not told. */
  readonly onFault?: (where: string, error: Error) => void;
  /** How long mailboxes and plans are kept for a process that is not heard of, in ms: shorter in tests. */
  readonly leaseMs?: number;
}

/** How often a process looks for plans that another left undone. */
const REPLAY_EVERY = 15_000;
const LEAST_EVERY = 200;

/**
 * Opens the store in a MongoDB database that any number of Teal processes share. Waits for database and Redis, and says
 * so through `onFault`; rejects with what waiting will not mend.
 */
export function openWildduckStore(options: WildduckOptions): Promise<Store> {
  const { clock, onFault = () => {} } = options;
  return openWhenThere({ open: () => wrap(() => openNow({ ...options, onFault })), mayPass, clock, onFault });
}

async function openNow(
  options: WildduckOptions & Required<Pick<WildduckOptions, 'onFault'>>,
): Promise<Store> {
  const { onChange, quota, clock, random, onFault } = options;
  await using opening = new AsyncDisposableStack();
  const connection = opening.use(await connect(options));
  const { collections, mongo, redis } = connection;
  const databaseClock = opening.use(createDatabaseClock(mongo, clock, onFault));
  await databaseClock.measure();

  const bus = opening.use(await openBus({ connection, clock, random, onChange, onFault }));
  const tell = (changes: readonly Change[], journal: readonly JournalDocument[] = []) => {
    if (journal.length > 0) wildduck.count(journal);
    return bus.tell(changes);
  };

  const wildduck = loadWildduck(mongo, redis);
  const lease = options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs };
  const files = createFiles(collections, clock);
  const name = `${hostname()}/${process.pid}/${random(6).toString('hex')}`;
  const exclusive = createExclusive({
    collections,
    clock,
    name,
    tell,
    repair: createRepair({ collections, files, tell }),
    ...lease,
  });
  const core: Core = { collections, clock, exclusive, files, wildduck, quota, tell, onFault };

  const inboxes = createInboxes(collections);
  const tokens = createTokens({
    tokens: collections.tokens,
    accountExists: async (account) => {
      const _id = objectId(account);
      return _id !== undefined && (await collections.users.countDocuments({ _id }, { limit: 1 })) > 0;
    },
    dropJobs: (some) => pushJobs.drop(some),
  });
  const nextFence = createNextFence(collections);
  const pushJobs = createPushJobs({ jobs: collections.push, tokens, databaseClock, nextFence });
  const removal = createRemoval(core, inboxes, (account) => tokens.removeAll(account));
  const visible = createVisible(collections);
  const reads = createReads(core, visible, createAdopt(core));
  const accounts = createAccounts(core, removal);
  const signUpTokens = createSignUpTokens({
    tokens: collections.signUpTokens,
    accounts,
    clock,
    databaseClock,
    ...lease,
  });
  const gate = createGate(() => bus.connected);
  const destinations = createQueueDestinations(collections);
  const rows = createQueueRows({ collections, destinations, databaseClock, files });
  const acceptance = createAcceptance({
    core,
    isClosing: gate.isClosing,
    deliver: createDeliver(core),
    inboxes,
    databaseClock,
    queueRows: rows,
    pushTo: (accounts, now) => pushJobs.pushTo(accounts, now),
    ...lease,
  });

  opening.use(
    createRounds(clock, Math.max(options.leaseMs ?? REPLAY_EVERY, LEAST_EVERY), onFault, async () => {
      while (await acceptance.replay());
      await removal.sweep();
    }),
  );

  const messages = createMessages(core, reads);
  const upkeep = await createUpkeep({
    database: mongo,
    clock,
    messages,
    removeAccount: (user) => removal.remains(user),
    releaseFiles: (ids) => files.release(ids),
  });
  opening.use(
    createBackground({
      leases: mongo.collection('teal.leases'),
      name,
      clock,
      onFault,
      tasks: [
        ...upkeep,
        { name: 'files', every: hour, run: () => files.sweep() },
        { name: 'queue', every: hour, run: () => rows.sweep() },
        { name: 'sign-up tokens', every: minute, run: () => signUpTokens.settleAbandoned() },
      ],
    }),
  );

  const parts = opening.move();
  let closed: Promise<void> | undefined;
  return {
    accounts: gate(accounts, 'create', 'setPasswordHash', 'touch', 'setAcceptsCleartext', 'remove'),
    mailboxes: gate(createMailboxes(core, inboxes, removal), 'create', 'remove', 'rename', 'subscribe'),
    messages: gate(
      {
        ...messages,
        // A session listens from here on.
        snapshot: (mailbox) => bus.follow(mailbox, () => messages.snapshot(mailbox)),
      },
      'snapshot',
      'append',
      'storeFlags',
      'expunge',
      'copy',
    ),
    tokens: gate(tokens, 'add'),
    // Push jobs and the queue go on, and so do values: nobody hears of them by the bus, and what was sent is settled.
    pushJobs: gate(pushJobs),
    queue: gate(createQueue({ collections, clock, databaseClock, files, destinations, rows, nextFence })),
    values: gate(createValues(collections.values)),
    // It makes accounts, as `create` of those does.
    signUpTokens: gate<SignUpTokens>(signUpTokens, 'signUp'),
    ...gate(
      {
        accept: (plan: Plan) => acceptance.accept(plan),
        ping: createPing({
          clock,
          database: () =>
            collections.counters.updateOne({ _id: 'ping' }, { $inc: { value: 1 } }, { upsert: true }),
          redis: () => redis.ping(),
          connected: () => bus.connected,
        }),
      },
      'accept',
    ),
    meter: createRateMeter(redis, `${mongo.databaseName}:teal:rate:`),
    [Symbol.asyncDispose]: () =>
      (closed ??= (async () => {
        await gate.close();
        await parts.disposeAsync();
      })()),
  };
}
