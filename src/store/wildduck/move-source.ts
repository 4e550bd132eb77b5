import type { Filter, ObjectId } from 'mongodb';
import type { Clock } from '../../clock.ts';
import { MOVING, StoreUnavailable } from '../contract.ts';
import type {
  MovedAccount,
  MovedMessage,
  MovedPushJob,
  MovedQueued,
  MoveSource,
  SignUpToken,
} from '../contract.ts';
import { accountOf } from './accounts.ts';
import { createForeignView } from './adopt.ts';
import { LEASED } from './background.ts';
import type { LeaseDocument } from './background.ts';
import { connect, wrap } from './connect.ts';
import type { Collections, ConnectOptions, Connection } from './connect.ts';
import { contentOfPlan, openContent } from './content.ts';
import { createDatabaseClock } from './database-clock.ts';
import type { DatabaseClock } from './database-clock.ts';
import type { MailboxDocument, PlanDocument, UserDocument } from './documents.ts';
import { createFiles } from './files.ts';
import type { Files } from './files.ts';
import { accountId, addressOf, mailboxId, usernameOf } from './ids.ts';
import { createReads } from './reads.ts';
import type { Reads } from './reads.ts';
import { tokenOf } from './sign-up-tokens.ts';
import { createVisible } from './visible.ts';
import { loadWildduck } from './wildduck.ts';
import type { Wildduck } from './wildduck.ts';

export interface MoveOptions extends ConnectOptions {
  readonly clock: Clock;
}

/** What reading for a move needs. */
export interface SourceParts extends AsyncDisposable {
  readonly connection: Connection;
  readonly databaseClock: DatabaseClock;
  readonly files: Files;
  readonly wildduck: Wildduck;
  readonly reads: Reads;
}

/** Documents in one answer of the database; messages come one at a time with their bytes. */
const PAGE = 100;

/**
 * The store in a MongoDB database, to be moved. Rejects, with a text for the operator, where a Teal serves it, and where
 * something that was accepted is not yet wholly done: a Teal that is started does it within a minute.
 */
export async function openWildduckSource(options: MoveOptions): Promise<MoveSource> {
  await using opening = new AsyncDisposableStack();
  const parts = opening.use(await createSourceParts({ ...options, readOnly: true }));
  if (await wrap(() => isServed(parts.connection)))
    throw new Error('a Teal serves the database, or was killed within the last three minutes');
  const { plans, doomed } = parts.connection.collections;
  // A plan that is done is a message in the queue.
  const undone = { at: { $exists: true } };
  const open = await wrap(() => Promise.all([plans.findOne(undone), doomed.findOne({})]));
  if (open.some((found) => found !== null))
    throw new Error(
      'something in the database is not yet wholly done: start Teal on it for a minute, then stop it',
    );
  const running = opening.move();
  return { ...readAll(parts), [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function isServed({ mongo }: Connection): Promise<boolean> {
  const leases = mongo.collection<LeaseDocument>('teal.leases');
  return (await leases.findOne({ _id: LEASED, $expr: { $gt: ['$until', '$$NOW'] } })) !== null;
}

export async function createSourceParts(options: MoveOptions): Promise<SourceParts> {
  await using opening = new AsyncDisposableStack();
  const connection = opening.use(await wrap(() => connect(options)));
  const databaseClock = opening.use(createDatabaseClock(connection.mongo, options.clock, options.onFault));
  await wrap(() => databaseClock.measure());
  const { collections } = connection;
  const files = createFiles(collections, options.clock);
  // WildDuck's handlers ask for one; nothing of a move goes there.
  const redis = connection.openRedis();
  opening.defer(() => redis.disconnect());
  const wildduck = loadWildduck(connection.mongo, redis);
  const reads = createReads(
    { collections, files },
    createVisible(collections),
    createForeignView({ collections, wildduck }),
  );
  const open = opening.move();
  return {
    connection,
    databaseClock,
    files,
    wildduck,
    reads,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** All of MoveSource on this connection but its end. */
export function readAll(
  parts: SourceParts,
  queueBy: QueueOrder = '_id',
): Omit<MoveSource, typeof Symbol.asyncDispose> {
  const { values, counters, mailboxes } = parts.connection.collections;
  return {
    accounts: () => accounts(parts),
    messages: (address, mailbox, afterUid) => messages(parts, address, mailbox, afterUid),
    pushJobs: () => pushJobs(parts),
    queue: () => queued(parts, queueBy),
    values: () =>
      wrap(async () => {
        const found = await values.find({ _id: { $ne: MOVING } }).toArray();
        return new Map(found.map(({ _id, value }) => [_id, value]));
      }),
    signUpTokens: () => wrap(() => signUpTokens(parts)),
    lastUidValidity: () =>
      wrap(async () => {
        const counter = await counters.findOne({ _id: UID_VALIDITY });
        // WildDuck's own programs make theirs of the time, without the counter.
        const [highest] = await mailboxes
          .find({}, { projection: { uidValidity: 1 } })
          .sort({ uidValidity: -1 })
          .limit(1)
          .toArray();
        return Math.max(Number(counter?.value ?? 0), highest?.uidValidity ?? 0);
      }),
  };
}

/** What messages of the queue are named by: their own id, or the one that they have in the store they come from. */
type QueueOrder = '_id' | 'moved';

/** The counter of uid-validity.ts. */
export const UID_VALIDITY = 'uid-validity';

async function* accounts({ connection: { collections } }: SourceParts): AsyncGenerator<MovedAccount> {
  const { users, mailboxes, tokens } = collections;
  // The names are kept encoded, in another order: all addresses are in memory, and nothing else of the accounts.
  const all: { id: ObjectId; address: string }[] = [];
  const names = users.find({ activated: true }).project<UserDocument>({ username: 1 });
  await wrap(async () => {
    for await (const { _id, username } of names) all.push({ id: _id, address: addressOf(username) });
  });
  all.sort((one, other) => Buffer.compare(Buffer.from(one.address), Buffer.from(other.address)));
  for (const { id } of all) {
    const [user, boxes, given] = await wrap(() =>
      Promise.all([
        users.findOne({ _id: id }),
        mailboxes.find({ user: id }).toArray(),
        tokens.findOne({ _id: accountId(id) }),
      ]),
    );
    if (!user) continue;
    const { id: _, ...account } = accountOf(user);
    yield {
      ...account,
      tokens: (given?.tokens ?? []).map(({ token, at }) => ({ token, setAt: at })),
      mailboxes: boxes.map(({ path, uidValidity, uidNext, modifyIndex, subscribed }) => ({
        name: path,
        uidValidity,
        uidNext,
        highestModseq: modifyIndex,
        subscribed,
      })),
    };
  }
}

/** A use whose account never came to be is none: who was at it is gone. */
async function signUpTokens({ connection: { collections } }: SourceParts): Promise<readonly SignUpToken[]> {
  const found = await collections.signUpTokens.find({}).toArray();
  return await Promise.all(
    found.map(async (token) => {
      const names = token.making.map(({ address }) => usernameOf(address));
      const made =
        names.length === 0
          ? 0
          : await collections.users.countDocuments({ unameview: { $in: names }, activated: true });
      return { ...tokenOf(token), used: token.used - names.length + made };
    }),
  );
}

async function* messages(
  { connection: { collections }, reads }: SourceParts,
  address: string,
  path: string,
  afterUid: number,
): AsyncGenerator<MovedMessage> {
  const mailbox = await wrap(() => mailboxOf(collections, address, path));
  const id = mailboxId(mailbox._id);
  for (let last = afterUid; ;) {
    const uids = await wrap(() =>
      collections.messages
        .find({ mailbox: mailbox._id, uid: { $gt: last, $lt: mailbox.uidNext } })
        .project<{ uid: number }>({ _id: 0, uid: 1 })
        .sort({ uid: 1 })
        .limit(PAGE)
        .toArray(),
    );
    if (uids.length === 0) return;
    const page = uids.map(({ uid }) => uid);
    // To say what a message of WildDuck's own programs is, it has to be put together.
    const foreign = { mailbox: mailbox._id, uid: { $in: page }, teal: { $exists: false } };
    const found = await wrap(() => collections.messages.findOne(foreign, { projection: { _id: 1 } }));
    const atOnce = found ? 1 : PAGE;
    for (let at = 0; at < page.length; at += atOnce) {
      for (const message of await wrap(() => reads.get(id, page.slice(at, at + atOnce)))) {
        const bytes = await wrap(async () => {
          await using body = await reads.body(id, message.uid);
          return body && (await body.read(0, body.size));
        });
        if (!bytes) throw new StoreUnavailable(`message ${message.uid} of ${address} has no bytes`);
        yield { ...message, message: bytes };
      }
    }
    last = page.at(-1) ?? last;
  }
}

/** Rejects where there is none. */
export async function mailboxOf(
  { users, mailboxes }: Collections,
  address: string,
  path: string,
): Promise<MailboxDocument> {
  const user = await users.findOne({ unameview: usernameOf(address) }, { projection: { _id: 1 } });
  const mailbox = user && (await mailboxes.findOne({ user: user._id, path }));
  if (!mailbox) throw new Error(`${address} has no mailbox ${path}`);
  return mailbox;
}

async function* pushJobs({ connection, databaseClock }: SourceParts): AsyncGenerator<MovedPushJob> {
  const jobs = connection.collections.push.find({}).sort({ _id: 1 }).batchSize(PAGE);
  for await (const { _id, attempts, since, due, claim, again } of jobs)
    yield {
      token: _id,
      attempts: again ? 0 : attempts,
      since: databaseClock.fromDatabase(since),
      due: databaseClock.fromDatabase(claim === 0 ? due : since),
    };
}

async function* queued(
  { connection: { collections }, databaseClock, files }: SourceParts,
  by: QueueOrder,
): AsyncGenerator<MovedQueued> {
  const { plans, queue } = collections;
  const inQueue: Filter<PlanDocument> = { run: { $exists: true }, [by]: { $exists: true } };
  const ids = plans.find(inQueue, { projection: { _id: 1 } }).sort({ [by]: 1 });
  for await (const { _id } of ids) {
    const found = await wrap(async () => {
      const plan = await plans.findOne({ _id });
      await using body = plan && (await openContent({ files }, contentOfPlan(plan)));
      const message = body && (await body.read(0, body.size));
      const rows = plan?.run ? await queue.find({ message: _id, run: plan.run }).toArray() : [];
      return plan && message && { plan, message, rows };
    });
    if (!found) throw new StoreUnavailable(`message ${_id.toHexString()} of the queue has no bytes`);
    const { plan, message, rows } = found;
    const [first] = rows;
    // Its last row went, and it was to go.
    if (!first) continue;
    yield {
      id: (by === 'moved' ? plan.moved : undefined) ?? _id.toHexString(),
      sender: plan.sender ?? '',
      queuedAt: databaseClock.fromDatabase(first.queuedAt),
      headerSize: plan.headerSize,
      message,
      signature: plan.signature,
      rows: rows
        .map(({ recipient, destination, attempts, due, fence, queuedAt, reason }) => ({
          recipient,
          destination,
          attempts,
          due: databaseClock.fromDatabase(fence === 0 ? due : queuedAt),
          reason,
        }))
        .sort((one, other) => Buffer.compare(Buffer.from(one.recipient), Buffer.from(other.recipient))),
    };
  }
}
