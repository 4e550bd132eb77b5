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

/** Messages that one call removes at most: some 50 ms of a transaction that deliveries wait for. */
export const MAX_EXPUNGED_AT_ONCE = 200;

/** Of `uids` there are no more than `MAX_EXPUNGED_AT_ONCE`; of all the lowest are removed: call it again. */
export function expunge(
  transaction: Transaction,
  { mailbox: id, uids, origin }: ExpungeArguments,
): readonly number[] {
  const { database } = transaction;
  const mailbox = mailboxRow(database, rowOf(id));
  if (!mailbox) return [];
  // The condition is that of the index, to the letter; without INDEXED BY SQLite would scan the mailbox.
  const rows = database.all<{ uid: number; size: number; body: number }>(
    `SELECT uid, size, body FROM message INDEXED BY message_deleted
     WHERE mailbox = ?1 AND (flags & 8) != 0 AND (?2 IS NULL OR uid IN (SELECT value FROM json_each(?2)))
     ORDER BY uid LIMIT ?3`,
    mailbox.id,
    uids === 'all' ? null : JSON.stringify(uids),
    MAX_EXPUNGED_AT_ONCE,
  );
  removeMessages(transaction, mailbox, rows, { origin });
  return rows.map(({ uid }) => uid);
}
