import type { AnyBulkWriteOperation } from 'mongodb';
import type { Change } from '../contract.ts';
import type { Collections } from './connect.ts';
import type { JournalDocument, MailboxDocument, MessageDocument } from './documents.ts';
import type { Files } from './files.ts';
import { accountId, mailboxId } from './ids.ts';
import { recount } from './quota.ts';

/** Makes a mailbox whole that was left in the middle of work, for who holds it now; answers with it as it is then. */
export type Repair = (mailbox: MailboxDocument, fence: number) => Promise<MailboxDocument>;

export interface RepairParts {
  readonly collections: Collections;
  readonly files: Files;
  readonly tell: (changes: readonly Change[], journal: readonly JournalDocument[]) => Promise<void>;
}

/**
 * Work writes the journal before it removes anything, and counts the mailbox up last. So what is above the counters
 * says what was under way: removals are completed, flags that were set are counted and told, messages that were not
 * yet visible go (whoever brought them was not told that they were taken, or brings them again from the plan).
 */
export function createRepair({ collections, files, tell }: RepairParts): Repair {
  const { mailboxes, messages, journal } = collections;

  return async (mailbox, fence) => {
    const { _id, uidNext, modifyIndex } = mailbox;
    const above = { mailbox: _id, modseq: { $gt: modifyIndex } };
    const entries = await journal.find({ ...above, command: 'EXPUNGE' }).toArray();
    const gone = new Set(entries.map(({ uid }) => uid ?? 0));
    const newer = await messages
      .find({ mailbox: _id, $or: [{ modseq: { $gt: modifyIndex } }, { uid: { $in: [...gone] } }] })
      .project<MessageDocument>({ uid: 1, modseq: 1, flags: 1, 'teal.file': 1, 'teal.headerSize': 1 })
      .toArray();
    // What WildDuck's programs put there has its UID counted before: it is not ours to judge.
    const unfinished = newer.filter(({ uid, teal }) => gone.has(uid) || (uid >= uidNext && teal));
    const flagged = newer.filter(({ uid }) => !gone.has(uid) && uid < uidNext);

    await messages.deleteMany({ _id: { $in: unfinished.map((message) => message._id) } });
    await files.release(unfinished.flatMap(({ teal }) => teal?.file ?? []));
    const counted = Math.max(
      modifyIndex,
      ...entries.map(({ modseq }) => modseq),
      ...flagged.map(({ modseq }) => modseq),
    );
    await journal.deleteMany({ ...above, command: 'EXISTS' });
    await journal.deleteMany({ mailbox: _id, modseq: { $gt: counted } });
    await mailboxes.updateOne(
      { _id, 'teal.fence': fence, uidNext, modifyIndex },
      { $set: { modifyIndex: counted } },
    );
    await rename(mailbox, collections);
    await recount(collections, mailbox.user);
    await tell(changesOf(mailbox, entries, flagged), []);
    return { ...mailbox, modifyIndex: counted };
  };
}

function changesOf(
  mailbox: MailboxDocument,
  expunged: readonly JournalDocument[],
  flagged: readonly MessageDocument[],
): Change[] {
  const where = { account: accountId(mailbox.user), mailbox: mailboxId(mailbox._id) };
  const modseqs = [...new Set([...expunged, ...flagged].map(({ modseq }) => modseq))];
  return modseqs
    .sort((one, other) => one - other)
    .flatMap((modseq): Change[] => {
      const uids = expunged.filter((entry) => entry.modseq === modseq).map(({ uid }) => uid ?? 0);
      const told = flagged.filter((message) => message.modseq === modseq);
      return [
        ...(uids.length > 0
          ? [{ kind: 'expunge' as const, ...where, modseq, uids: uids.sort((one, other) => one - other) }]
          : []),
        ...(told.length > 0 ? [{ kind: 'flags' as const, ...where, modseq, messages: told }] : []),
      ];
    });
}

/** Completes a RENAME that was noted on the account's INBOX, which is held, and takes the note away. */
export async function rename({ _id, teal }: MailboxDocument, { mailboxes }: Collections): Promise<void> {
  if (!teal?.renames) return;
  const aside = (id: MailboxDocument['_id']) => `teal\n${id.toHexString()}`;
  // a may become a/b while a/b becomes a/b/b: all step aside first. Said twice it is the same.
  const writes: AnyBulkWriteOperation<MailboxDocument>[] = [
    ...teal.renames.map(({ id, to }) => ({
      updateOne: { filter: { _id: id, path: { $ne: to } }, update: { $set: { path: aside(id) } } },
    })),
    ...teal.renames.map(({ id, to }) => ({
      updateOne: { filter: { _id: id }, update: { $set: { path: to } } },
    })),
  ];
  await mailboxes.bulkWrite(writes);
  await mailboxes.updateOne({ _id }, { $unset: { 'teal.renames': true } });
}
