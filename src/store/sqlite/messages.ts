import { MAX_UIDS_AT_ONCE } from '../contract.ts';
import type { MailboxId, Messages, Store } from '../contract.ts';
import { OverQuota } from '../contract.ts';
import type { Access } from './access.ts';
import { openBody, prepareBody, readHeaders } from './bodies.ts';
import type { Prepared } from './bodies.ts';
import type { BodyFiles } from './body-files.ts';
import { rowOf } from './ids.ts';
import { outgoingCost } from './queue.ts';
import { messagesByUid } from './reads/messages.ts';
import { ThreadLost } from './thread.ts';
import { MAX_EXPUNGED_AT_ONCE } from './writes/expunge.ts';

/** UIDs looked up on the main thread; more go to the reader. */
const FEW = 50;
/** What a UID or a delivery counts as in a posted call, in bytes. */
const ITEM_COST = 16;

/** Runs what must be finished before the store is closed; turned away with StoreUnavailable when it is closing. */
export type During = <Result>(work: () => Promise<Result>) => Promise<Result>;

export function createMessages(access: Access, files: BodyFiles, during: During): Messages {
  return {
    snapshot: (mailbox) => access.read('snapshot', rowOf(mailbox)),
    get: async (mailbox, uids) => {
      bounded(uids);
      return uids.length <= FEW
        ? access.local((database) => messagesByUid(database, rowOf(mailbox), uids))
        : access.read('messagesByUid', rowOf(mailbox), uids);
    },
    changedSince: (mailbox, modseq) => access.read('changedSince', rowOf(mailbox), modseq),
    expungedSince: (mailbox, modseq) => access.read('expungedSince', rowOf(mailbox), modseq),
    headers: async (mailbox, uids) => {
      bounded(uids);
      return readHeaders(access, files, mailbox, uids);
    },
    body: (mailbox, uid) => openBody(access, files, mailbox, uid),
    append: (mailbox, { message, headerSize, now, flags, internalDate }) =>
      during(() =>
        withBody(
          files,
          message,
          headerSize,
          ({ body, bytes, transfer }) =>
            access.write('append', { mailbox, now, body, flags, internalDate }, bytes, transfer),
          (result) => typeof result === 'object',
        ),
      ),
    storeFlags: (mailbox, uids, change, origin) =>
      access.write('storeFlags', { mailbox, uids, change, origin }, uids.length * ITEM_COST),
    expunge: (mailbox, uids, origin) =>
      inSlices(uids, (slice) =>
        access.write('expunge', { mailbox, uids: slice, origin }, slice.length * ITEM_COST),
      ),
    copy: (from: MailboxId, uids, to, { move, now, origin }) =>
      access.write('copy', { from, uids, to, move, now, origin }, uids.length * ITEM_COST),
  };
}

export function createAccept(access: Access, files: BodyFiles, during: During): Store['accept'] {
  return ({ now, message, headerSize, deliveries, outgoing }) =>
    during(async () => {
      const queued = outgoing ? outgoingCost(outgoing) : 0;
      const to = deliveries.map(({ account, push, flags = [] }) => ({ account, push, flags }));
      const { outcomes } = await withBody(
        files,
        message,
        headerSize,
        ({ body, bytes, transfer }) =>
          access.write(
            'accept',
            { now, body, deliveries: to, outgoing },
            bytes + to.length * ITEM_COST + queued,
            transfer,
          ),
        ({ kept }) => kept,
      );
      if (
        !outgoing &&
        outcomes.some(({ kind }) => kind === 'over-quota') &&
        !outcomes.some(({ kind }) => kind === 'delivered')
      )
        throw new OverQuota('no recipient has room for the message');
      return { deliveries: outcomes };
    });
}

/** Writes a row for the message; its file, if it has one, goes again where no row came to name it. */
async function withBody<Result>(
  files: BodyFiles,
  message: Buffer,
  headerSize: number,
  write: (prepared: Prepared) => Promise<Result>,
  isKept: (result: Result) => boolean,
): Promise<Result> {
  const prepared = await prepareBody(files, message, headerSize);
  const discard = async () => {
    if (prepared.body.kind === 'file') await files.discard(prepared.body.file);
  };
  let result: Result;
  try {
    result = await write(prepared);
  } catch (error) {
    // Where the thread died the row may have been committed: the file stays, and is an orphan at the next start if not.
    if (!(error instanceof ThreadLost)) await discard();
    throw error;
  }
  if (!isKept(result)) await discard();
  return result;
}

/** Many messages go slice by slice, each a transaction of its own: deliveries wait for one of them, not for all. */
async function inSlices(
  uids: readonly number[] | 'all',
  expunge: (slice: readonly number[] | 'all') => Promise<readonly number[]>,
): Promise<readonly number[]> {
  const gone: number[] = [];
  const take = async (slice: readonly number[] | 'all') => {
    const removed = await expunge(slice);
    for (const uid of removed) gone.push(uid);
    return removed.length;
  };
  if (uids === 'all') while ((await take('all')) === MAX_EXPUNGED_AT_ONCE);
  else
    for (let at = 0; at < uids.length; at += MAX_EXPUNGED_AT_ONCE)
      await take(uids.slice(at, at + MAX_EXPUNGED_AT_ONCE));
  return gone.sort((a, b) => a - b);
}

function bounded(uids: readonly number[]): void {
  if (uids.length > MAX_UIDS_AT_ONCE)
    throw new RangeError(`${uids.length} UIDs were asked for at once, ${MAX_UIDS_AT_ONCE} are the most`);
}
