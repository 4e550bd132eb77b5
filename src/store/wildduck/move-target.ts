import { MOVING } from '../contract.ts';
import type { MovedAccount, MovedMessage, MovedPushJob, MovedQueued, MoveTarget } from '../contract.ts';
import { createSourceParts, mailboxOf, readAll, UID_VALIDITY } from './move-source.ts';
import type { MoveOptions, SourceParts } from './move-source.ts';
import { contentOf } from './content.ts';
import { accountId, usernameOf } from './ids.ts';
import { normalized } from './flags.ts';
import { recount } from './quota.ts';
import { wrap } from './connect.ts';
import type { UserDocument } from './documents.ts';
import { Binary, ObjectId } from 'mongodb';
import { documentOf } from './sign-up-tokens.ts';
import { createQueueDestinations } from './queue-destinations.ts';

/** A MongoDB database to be filled by `teal move`. */
export async function openWildduckTarget(
  options: MoveOptions & { readonly quota: number },
): Promise<MoveTarget> {
  await using opening = new AsyncDisposableStack();
  const parts = opening.use(await createSourceParts(options));
  const { connection, databaseClock } = parts;
  const { collections } = connection;
  const { values, counters, push, signUpTokens } = collections;
  const open = opening.move();

  return {
    ...readAll(parts, 'moved'),
    begin: (source) => wrap(() => begin(parts, source)),
    putAccount: (account) => wrap(() => putAccount(parts, options.quota, account)),
    lastUid: (address, mailbox) =>
      wrap(async () => {
        const { _id } = await mailboxOf(collections, address, mailbox);
        const [last] = await collections.messages
          .find({ mailbox: _id }, { projection: { uid: 1 } })
          .sort({ uid: -1 })
          .limit(1)
          .toArray();
        return last?.uid ?? 0;
      }),
    putMessages: (address, mailbox, messages) => wrap(() => putMessages(parts, address, mailbox, messages)),
    putPushJobs: (jobs) =>
      wrap(async () => {
        if (jobs.length > 0) await push.bulkWrite(jobs.map(jobWrite));
      }),
    putQueued: (queued) => wrap(() => putQueued(parts, queued)),
    putValues: (given) =>
      wrap(async () => {
        for (const [key, value] of given)
          await values.updateOne({ _id: key }, { $set: { value } }, { upsert: true });
      }),
    putSignUpTokens: (tokens) =>
      wrap(async () => {
        for (const { _id, ...token } of tokens.map(documentOf))
          await signUpTokens.updateOne({ _id }, { $setOnInsert: token }, { upsert: true });
      }),
    putLastUidValidity: (uidValidity) =>
      wrap(async () => {
        await counters.updateOne({ _id: UID_VALIDITY }, { $max: { value: uidValidity } }, { upsert: true });
      }),
    finish: () =>
      wrap(async () => {
        await collections.plans.updateMany({ moved: { $exists: true } }, { $unset: { moved: true } });
        await values.deleteOne({ _id: MOVING });
      }),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };

  function jobWrite({ token, attempts, since, due }: MovedPushJob) {
    const times = { since: databaseClock.toDatabase(since), due: databaseClock.toDatabase(due) };
    const job = { attempts, ...times, claim: 0, again: false };
    return { updateOne: { filter: { _id: token }, update: { $setOnInsert: job }, upsert: true } };
  }
}

async function begin({ connection: { collections } }: SourceParts, source: string): Promise<void> {
  const { values, users, messages, plans, signUpTokens } = collections;
  const begun = await values.findOne({ _id: MOVING });
  if (begun?.value === source) return;
  if (begun)
    throw new Error(
      `the database is being filled from ${begun.value}: finish that move, or drop the database`,
    );
  const any = await Promise.all(
    [values, users, messages, plans, signUpTokens].map((collection) =>
      collection.countDocuments({}, { limit: 1 }),
    ),
  );
  if (any.some((count) => count > 0))
    throw new Error('the database is not empty: only an empty one can be filled');
  await values.insertOne({ _id: MOVING, value: source });
}

/** Every step may be done again; `teal` in the user is the last one, and says that all are done. */
async function putAccount(
  { connection: { collections }, wildduck }: SourceParts,
  quota: number,
  account: MovedAccount,
): Promise<void> {
  const { users, addresses, mailboxes, tokens } = collections;
  const username = usernameOf(account.address);
  const found = await users.findOne({ unameview: username });
  if (found?.teal) {
    // A lot of messages may have been written without being counted.
    await recount(collections, found._id);
    return;
  }
  if (found) {
    await mailboxes.deleteMany({ user: found._id });
    await addresses.deleteMany({ user: found._id });
    await users.deleteOne({ _id: found._id });
  }
  const { uidValidity } = account.mailboxes.find(({ name }) => name === 'INBOX') ?? { uidValidity: 1 };
  const user = await wildduck.createUser({
    username,
    passwordHash: account.passwordHash,
    uidValidity,
    quota,
  });
  if (!user) throw new Error(`${account.address} cannot be made`);
  for (const mailbox of account.mailboxes) {
    const { name: path, uidNext, highestModseq: modifyIndex, subscribed } = mailbox;
    if (path !== 'INBOX')
      await mailboxes.insertOne(await wildduck.newMailbox({ user, path, uidValidity: mailbox.uidValidity }));
    await mailboxes.updateOne({ user, path }, { $set: { uidNext, modifyIndex, subscribed } });
  }
  if (account.tokens.length > 0) {
    const given = account.tokens.map(({ token, setAt }) => ({ token, at: setAt }));
    const document = { version: 1, tokens: given.sort((one, other) => one.at - other.at) };
    await tokens.updateOne({ _id: accountId(user) }, { $set: document }, { upsert: true });
  }
  const { passwordHash, createdDay, lastLoginDay, acceptsCleartext } = account;
  const teal: UserDocument['teal'] = { createdDay, lastLoginDay, acceptsCleartext };
  await users.updateOne(
    { _id: user },
    { $set: { password: passwordHash, created: new Date(createdDay), teal } },
  );
}

async function putMessages(
  { connection: { collections }, wildduck, files }: SourceParts,
  address: string,
  path: string,
  messages: readonly MovedMessage[],
): Promise<void> {
  const mailbox = await mailboxOf(collections, address, path);
  const documents = [];
  for (const { message, headerSize, uid, modseq, flags, internalDate, saveDate: saved } of messages) {
    const prepared = await wildduck.prepare(await contentOf({ files }, message, headerSize, 1));
    const place = { id: new ObjectId(), mailbox, uid, modseq, flags: normalized(flags), internalDate, saved };
    documents.push(await wildduck.newMessage(place, prepared));
  }
  if (documents.length === 0) return;
  // In order, so that what is there is always the first ones. A file without its message is swept after an hour.
  await collections.messages.insertMany(documents);
  const bytes = messages.reduce((sum, { message }) => sum + message.length, 0);
  await collections.users.updateOne({ _id: mailbox.user }, { $inc: { storageUsed: bytes } });
}

/** `run` in the message is the last step, and says that all are done. */
async function putQueued(
  { connection: { collections }, files, databaseClock }: SourceParts,
  { id, sender, queuedAt, headerSize, message, signature, rows }: MovedQueued,
): Promise<void> {
  const { plans, queue } = collections;
  const found = await plans.findOne({ moved: id }, { projection: { run: 1, file: 1 } });
  if (found?.run) return;
  if (found) {
    await queue.deleteMany({ message: found._id });
    await plans.deleteOne({ _id: found._id });
    if (found.file) await files.release([found.file]);
  }
  const [_id, run] = [new ObjectId(), new ObjectId()];
  const { size, magic, head, rest, file } = await contentOf({ files }, message, headerSize, 1);
  await plans.insertOne({
    _id,
    fence: 1,
    now: queuedAt,
    size,
    headerSize,
    magic,
    sender,
    moved: id,
    ...(head ? { head: new Binary(head) } : {}),
    ...(rest ? { message: new Binary(rest) } : {}),
    ...(file ? { file } : {}),
    ...(signature ? { signature } : {}),
  });
  const documents = rows.map(({ due, ...row }, number) => ({
    ...row,
    _id: new ObjectId(),
    message: _id,
    run,
    number,
    queuedAt: databaseClock.toDatabase(queuedAt),
    due: databaseClock.toDatabase(due),
    fence: 0,
  }));
  if (documents.length > 0) await queue.insertMany(documents);
  const destinations = createQueueDestinations(collections);
  for (const { destination, due } of documents) await destinations.due([destination], due);
  await plans.updateOne({ _id }, { $set: { run } });
}
