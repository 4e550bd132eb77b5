import type { ObjectId } from 'mongodb';
import type { Core } from './core.ts';
import type { MessageDocument } from './documents.ts';
import type { Held } from './exclusive.ts';
import { partsOfMessage, releaseParts } from './foreign-parts.ts';
import type { PartsOfMessage } from './foreign-parts.ts';
import { accountId, mailboxId } from './ids.ts';

/** What removing a message takes to know of it. */
export type Removable = Pick<MessageDocument, '_id' | 'uid' | 'size' | 'unseen' | 'thread' | 'teal'> &
  PartsOfMessage;
export const removable = {
  uid: 1,
  size: 1,
  unseen: 1,
  thread: 1,
  'teal.saved': 1,
  ...partsOfMessage,
} as const;

/**
 * Takes messages out of a held mailbox, with one MODSEQ: told with its commit. Written to the journal before the first
 * is gone, so that a crash in between does not bring them back. The account's sum is the caller's.
 */
export async function removeMessages(
  { collections, files, clock }: Core,
  held: Held,
  rows: readonly Removable[],
  origin?: string,
): Promise<void> {
  if (rows.length === 0) return;
  const { mailbox } = held;
  const modseq = held.nextModseq();
  for (const { _id, uid, unseen, thread } of rows)
    held.journal({ command: 'EXPUNGE', uid, message: _id, unseen, thread, modseq });
  held.change({
    kind: 'expunge',
    account: accountId(mailbox.user),
    mailbox: mailboxId(mailbox._id),
    modseq,
    uids: rows.map(({ uid }) => uid),
    ...(origin === undefined ? {} : { origin }),
  });
  await held.writeJournal();
  await collections.messages.deleteMany({
    mailbox: mailbox._id,
    uid: { $in: rows.map(({ uid }) => uid) },
  });
  const filed: ObjectId[] = rows.flatMap(({ teal }) => teal?.file ?? []);
  if (filed.length > 0) await files.release(filed);
  await releaseParts(collections.files, clock, rows);
}
