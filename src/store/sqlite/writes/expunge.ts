import type { MailboxId } from '../../contract.ts';
import { rowOf } from '../ids.ts';
import type { Transaction } from '../transaction.ts';
import { mailboxRow } from './mailbox-counters.ts';
import { removeMessages } from './messages.ts';

export interface ExpungeArguments {
  readonly mailbox: MailboxId;
  readonly uids: readonly number[] | 'all';
  readonly origin: string | undefined;
}

export function expunge(
  transaction: Transaction,
  { mailbox: id, uids, origin }: ExpungeArguments,
): readonly number[] {
  const { database } = transaction;
  const mailbox = mailboxRow(database, rowOf(id));
  if (!mailbox) return [];
  // The condition is that of the index, to the letter; without INDEXED BY SQLite would scan the mailbox.
  const deleted = database.all<{ uid: number; size: number; body: number }>(
    `SELECT uid, size, body FROM message INDEXED BY message_deleted
     WHERE mailbox = ? AND (flags & 8) != 0 ORDER BY uid`,
    mailbox.id,
  );
  const asked = uids === 'all' ? undefined : new Set(uids);
  const rows = asked ? deleted.filter(({ uid }) => asked.has(uid)) : deleted;
  removeMessages(transaction, mailbox, rows, { origin });
  return rows.map(({ uid }) => uid);
}
