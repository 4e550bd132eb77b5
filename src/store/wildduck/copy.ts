import { ObjectId } from 'mongodb';
import type { Copied, MailboxId, Messages } from '../contract.ts';
import type { Core } from './core.ts';
import type { MessageDocument } from './documents.ts';
import type { Held } from './exclusive.ts';
import { accountId, mailboxId, objectId } from './ids.ts';
import { release, reserve } from './quota.ts';
import { removeMessages } from './remove-messages.ts';

type How = Parameters<Messages['copy']>[3];
type Outcome = Copied | 'over-quota' | 'missing';

/** Copies or moves. Both mailboxes are held, in the order of their ids, so that two who cross do not wait for ever. */
export async function copyMessages(
  core: Core,
  from: MailboxId,
  uids: readonly number[],
  to: MailboxId,
  how: How,
): Promise<Outcome> {
  const { collections } = core;
  const source = objectId(from);
  const target = objectId(to);
  if (!source || !target) return 'missing';
  /** The documents of the copies: made once, so that one who begins anew finds what is there. */
  const copies = new Map<number, ObjectId>();
  /** What is visible in the target, by the UID that it has, or had, in the source: one who begins anew finds less there. */
  const done = new Map<number, number>();
  let taken: { user: ObjectId; bytes: number } | undefined;

  const copy = async (sourceHeld: Held, targetHeld: Held): Promise<Outcome> => {
    const { user } = sourceHeld.mailbox;
    if (!targetHeld.mailbox.user.equals(user)) return 'missing';
    const rows = await collections.messages
      .find({ mailbox: source, uid: { $in: [...uids], $lt: sourceHeld.mailbox.uidNext } })
      .sort({ uid: 1 })
      .toArray();
    const { uidValidity } = targetHeld.mailbox;
    if (rows.length === 0) return { uidValidity, source: [], target: [] };
    const bytes = rows.reduce((sum, { size }) => sum + size, 0);
    if (!taken) {
      const limit = how.move ? Infinity : core.quota;
      if (!(await reserve(collections, user, bytes, limit))) return 'over-quota';
      taken = { user, bytes };
    }
    const placed = await insertCopies(core, targetHeld, rows, copies, how);
    return { uidValidity, source: rows.map(({ uid }) => uid), target: placed };
  };
  const allDone = (copied: Outcome | undefined): Outcome | undefined => {
    if (typeof copied !== 'object') return copied;
    for (const [index, uid] of copied.source.entries()) done.set(uid, copied.target[index] ?? 0);
    const pairs = [...done].sort(([one], [other]) => one - other);
    return { ...copied, source: pairs.map(([uid]) => uid), target: pairs.map(([, uid]) => uid) };
  };
  const removeSource = async (held: Held, copied: Outcome | undefined) => {
    if (!how.move || typeof copied !== 'object') return;
    const rows = await collections.messages
      .find({ mailbox: source, uid: { $in: [...copied.source] } })
      .sort({ uid: 1 })
      .toArray();
    await removeMessages(core, held, rows, how.origin);
    await release(
      collections,
      held.mailbox.user,
      rows.reduce((sum, { size }) => sum + size, 0),
    );
  };

  try {
    const copied = source.equals(target)
      ? await withOne(core, source, copy, allDone, how.move ? removeSource : undefined)
      : await withBoth(core, source, target, copy, allDone, removeSource);
    return copied ?? 'missing';
  } catch (error) {
    // Copies that are there keep theirs, even where the originals could not be removed.
    if (taken && done.size === 0) await release(collections, taken.user, taken.bytes).catch(() => {});
    throw error;
  }
}

/** The copies are visible before the originals go: whoever repairs a mailbox removes what is not yet visible. */
async function withBoth<T>(
  { exclusive }: Core,
  source: ObjectId,
  target: ObjectId,
  copy: (source: Held, target: Held) => Promise<T>,
  allDone: (copied: T | undefined) => T | undefined,
  removeSource: (held: Held, copied: T | undefined) => Promise<void>,
): Promise<T | undefined> {
  const inSource = () =>
    exclusive.hold(source, async (sourceHeld) => {
      const copied = allDone(await exclusive.hold(target, (targetHeld) => copy(sourceHeld, targetHeld)));
      await removeSource(sourceHeld, copied);
      return copied;
    });
  const [first, second] = source.toHexString() < target.toHexString() ? [source, target] : [target, source];
  return exclusive.queue(first, () => exclusive.queue(second, inSource));
}

/** The same within one mailbox, which is held twice, one after the other. */
async function withOne<T>(
  { exclusive }: Core,
  mailbox: ObjectId,
  copy: (source: Held, target: Held) => Promise<T>,
  allDone: (copied: T | undefined) => T | undefined,
  removeSource: ((held: Held, copied: T | undefined) => Promise<void>) | undefined,
): Promise<T | undefined> {
  return exclusive.queue(mailbox, async () => {
    const copied = allDone(await exclusive.hold(mailbox, (held) => copy(held, held)));
    if (removeSource) await exclusive.hold(mailbox, (held) => removeSource(held, copied));
    return copied;
  });
}

async function insertCopies(
  { collections: { messages }, files }: Core,
  held: Held,
  rows: readonly MessageDocument[],
  copies: Map<number, ObjectId>,
  { now, origin }: How,
): Promise<number[]> {
  const { _id: mailbox, user, uidNext } = held.mailbox;
  const known = new Map<string, MessageDocument>();
  if (copies.size > 0) {
    await messages.deleteMany({ mailbox, uid: { $gte: uidNext }, teal: { $exists: true } });
    for (const there of await messages.find({ _id: { $in: [...copies.values()] } }).toArray())
      known.set(there._id.toHexString(), there);
  }
  const documents: MessageDocument[] = [];
  const uids = rows.map((row) => {
    const id = copies.get(row.uid) ?? new ObjectId();
    copies.set(row.uid, id);
    const there = known.get(id.toHexString());
    // It was told when it became visible.
    if (there) return there.uid;
    const uid = held.nextUid();
    const modseq = held.nextModseq();
    held.change({
      kind: 'exists',
      account: accountId(user),
      mailbox: mailboxId(mailbox),
      modseq,
      uid,
      flags: row.flags,
      ...(origin === undefined ? {} : { origin }),
    });
    documents.push({
      ...row,
      _id: id,
      mailbox,
      uid,
      modseq,
      ...(row.teal ? { teal: { ...row.teal, saved: now } } : {}),
    });
    held.journal({
      command: 'EXISTS',
      uid,
      message: id,
      modseq,
      unseen: row.unseen,
      idate: row.idate,
      thread: row.thread,
    });
    return uid;
  });
  for (const { teal, magic } of documents)
    if (teal?.file) await files.addUsers(teal.file, { count: 1, magic });
  if (documents.length > 0) await Promise.all([messages.insertMany(documents), held.writeJournal()]);
  return uids;
}
