import type { ObjectId } from 'mongodb';
import { QUOTA_TRIM_ABOVE, QUOTA_TRIM_SPARES, QUOTA_TRIM_TO } from '../contract.ts';
import type { Core } from './core.ts';
import type { MessageDocument } from './documents.ts';
import type { Held } from './exclusive.ts';
import { normalized } from './flags.ts';
import { accountId, mailboxId } from './ids.ts';
import { reserve, usedBy } from './quota.ts';
import { removable, removeMessages } from './remove-messages.ts';
import type { Removable } from './remove-messages.ts';
import type { Prepared } from './wildduck.ts';

/** A message on its way into a mailbox. */
export interface Arrival {
  /** Of the message document: by it one that is there already is found. */
  readonly id: ObjectId;
  readonly prepared: Prepared;
  readonly flags: readonly string[];
  readonly internalDate: number;
  readonly now: number;
  readonly origin?: string;
}

export interface Placed {
  readonly uid: number;
  readonly modseq: number;
}

/** Writes the messages, each with its UID and MODSEQ, into a held mailbox: visible and told with its commit. */
export async function place(core: Core, held: Held, arrivals: readonly Arrival[]): Promise<Placed[]> {
  const { collections, wildduck } = core;
  const { mailbox } = held;
  const known = held.again ? await alreadyThere(core, held, arrivals) : new Map<string, Placed>();
  const documents: MessageDocument[] = [];
  const placed: Placed[] = [];
  for (const { id, prepared, flags: given, internalDate, now, origin } of arrivals) {
    const there = known.get(id.toHexString());
    // It was told when it became visible.
    if (there) {
      placed.push({ uid: there.uid, modseq: there.modseq });
      continue;
    }
    const flags = normalized(given);
    const uid = held.nextUid();
    const modseq = held.nextModseq();
    placed.push({ uid, modseq });
    held.change({
      kind: 'exists',
      account: accountId(mailbox.user),
      mailbox: mailboxId(mailbox._id),
      modseq,
      uid,
      flags,
      ...(origin === undefined ? {} : { origin }),
    });
    const document = await wildduck.newMessage(
      { id, mailbox, uid, modseq, flags, internalDate, saved: now },
      prepared,
    );
    documents.push(document);
    held.journal({
      command: 'EXISTS',
      uid,
      message: id,
      modseq,
      unseen: document.unseen,
      idate: document.idate,
      thread: document.thread,
    });
  }
  if (documents.length > 0)
    await Promise.all([collections.messages.insertMany(documents), held.writeJournal()]);
  return placed;
}

/** Which of them an earlier try has made visible after all. What it left invisible is removed. */
async function alreadyThere(
  { collections: { messages } }: Core,
  { mailbox }: Held,
  arrivals: readonly Arrival[],
): Promise<Map<string, Placed>> {
  const ids = { $in: arrivals.map(({ id }) => id) };
  const { _id, uidNext } = mailbox;
  await messages.deleteMany({ mailbox: _id, uid: { $gte: uidNext }, teal: { $exists: true } });
  const found = await messages.find({ _id: ids }).project<MessageDocument>({ uid: 1, modseq: 1 }).toArray();
  return new Map(found.map((message) => [message._id.toHexString(), message]));
}

/** Messages that one delivery removes on the way down to 70 %, so that it holds up the others for a moment only. */
const MAX_TRIMMED = 200;
/** The same where fewer would not make room for it. */
const MAX_TRIMMED_TO_FIT = 2000;

/**
 * Takes room for `size` bytes in the account of a held INBOX, and trims it as the contract says (see
 * QUOTA_TRIM_ABOVE). False where they still do not fit, or the account is gone.
 */
export async function makeRoom(core: Core, held: Held, size: number, now: number): Promise<boolean> {
  const { collections, quota } = core;
  const { user } = held.mailbox;
  if (await reserve(collections, user, size, quota * QUOTA_TRIM_ABOVE)) return true;
  const used = await usedBy(collections, user);
  if (used === undefined || size > quota) return false;
  let after = used + size;
  if (after <= quota * QUOTA_TRIM_ABOVE) return makeRoom(core, held, size, now);
  const trimmed: Removable[] = [];
  const isSpared = (message: Pick<MessageDocument, 'teal' | 'idate'>) =>
    savedAt(message) > now - QUOTA_TRIM_SPARES;
  // Mostly the very oldest says that nothing may go.
  const [first] = await oldest(core, held, 1);
  const candidates = first && !isSpared(first) ? await oldest(core, held, MAX_TRIMMED_TO_FIT) : [];
  for (const message of candidates) {
    const enough = trimmed.length < MAX_TRIMMED ? quota * QUOTA_TRIM_TO : quota;
    if (after <= enough || isSpared(message)) break;
    trimmed.push(message);
    after -= message.size;
  }
  if (after > quota) return false;
  // What goes and what comes in one step: no reader sees an account that is over its limit.
  const { matchedCount } = await collections.users.updateOne(
    { _id: user, storageUsed: used },
    { $inc: { storageUsed: after - used } },
  );
  // Another mailbox of the account has changed meanwhile.
  if (matchedCount === 0) return makeRoom(core, held, size, now);
  await removeMessages(core, held, trimmed);
  return true;
}

/** UIDs ascend as messages come in, so the lowest are the oldest. */
function oldest(
  { collections: { messages } }: Core,
  { mailbox }: Held,
  limit: number,
): Promise<(Removable & Pick<MessageDocument, 'idate'>)[]> {
  return messages
    .find({ mailbox: mailbox._id, uid: { $lt: mailbox.uidNext } })
    .project<Removable & Pick<MessageDocument, 'idate'>>({ ...removable, idate: 1 })
    .sort({ uid: 1 })
    .limit(limit)
    .toArray();
}

const savedAt = ({ teal, idate }: Pick<MessageDocument, 'teal' | 'idate'>) => teal?.saved ?? idate.getTime();
