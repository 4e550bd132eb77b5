import type { MovedMessage, MovedPushJob, MoveSource, MoveTarget } from '../store/contract.ts';

/** Messages in one call of `putMessages`, and their bytes (the last one may go above): what is in memory at once. */
const MAX_BATCH = 200;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const PUSH_JOBS_AT_ONCE = 500;
/** Accounts between two words on how far it is. */
const TELL_EVERY = 1000;

export interface CopyParts {
  readonly source: MoveSource;
  readonly target: MoveTarget;
  /** What the source is called; a move that goes on must have the same. */
  readonly name: string;
  readonly tell: (accounts: number) => void;
}

/**
 * Puts everything of the source into the target, which stays marked as unfinished. Killed at any instant it can be called
 * again: every step may be done twice, and of each mailbox it goes on behind the last message that is there.
 */
export async function copyEverything({ source, target, name, tell }: CopyParts): Promise<void> {
  await target.begin(name);
  let count = 0;
  for await (const account of source.accounts()) {
    await target.putAccount(account);
    for (const mailbox of account.mailboxes) await copyMailbox(source, target, account.address, mailbox.name);
    count += 1;
    if (count % TELL_EVERY === 0) tell(count);
  }
  const one = (_: MovedPushJob) => 1;
  for await (const jobs of batches(source.pushJobs(), one, PUSH_JOBS_AT_ONCE, PUSH_JOBS_AT_ONCE))
    await target.putPushJobs(jobs);
  for await (const queued of source.queue()) await target.putQueued(queued);
  await target.putValues(await source.values());
  await target.putSignUpTokens(await source.signUpTokens());
  await target.putLastUidValidity(await source.lastUidValidity());
}

async function copyMailbox(
  source: MoveSource,
  target: MoveTarget,
  address: string,
  name: string,
): Promise<void> {
  const messages = source.messages(address, name, await target.lastUid(address, name));
  const bytes = ({ message }: MovedMessage) => message.length;
  for await (const batch of batches(messages, bytes, MAX_BATCH, MAX_BATCH_BYTES))
    await target.putMessages(address, name, batch);
}

/** In the same order, in lots that end with `most` items or with the item that brings their weight to `heaviest`. */
async function* batches<Item>(
  items: AsyncIterable<Item>,
  weigh: (item: Item) => number,
  most: number,
  heaviest: number,
): AsyncGenerator<Item[]> {
  let batch: Item[] = [];
  let weight = 0;
  for await (const item of items) {
    batch.push(item);
    weight += weigh(item);
    if (batch.length < most && weight < heaviest) continue;
    yield batch;
    batch = [];
    weight = 0;
  }
  if (batch.length > 0) yield batch;
}
