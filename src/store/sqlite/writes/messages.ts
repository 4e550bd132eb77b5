import type { Database } from '../database.ts';
import type { Packed } from '../flags.ts';
import type { Transaction } from '../transaction.ts';
import { accountId, mailboxId } from '../ids.ts';
import { dropBodyIfUnused } from './bodies.ts';
import { nextModseq } from './mailbox-counters.ts';
import type { MailboxRow } from './mailbox-counters.ts';

export interface NewRow extends Packed {
  readonly mailbox: number;
  readonly uid: number;
  readonly modseq: number;
  readonly size: number;
  readonly headerSize: number;
  readonly internalDate: number;
  readonly saveDate: number;
  readonly body: number;
}

export function insertMessage(database: Database, row: NewRow): void {
  database.run(
    `INSERT INTO message
       (mailbox, uid, modseq, flags, keywords, size, header_size, internal_date, save_date, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.mailbox,
    row.uid,
    row.modseq,
    row.flags,
    row.keywords,
    row.size,
    row.headerSize,
    row.internalDate,
    row.saveDate,
    row.body,
  );
}

/** Adds to the bytes that an account uses; `bytes` may be negative. */
export function addUsed(database: Database, account: number, bytes: number): void {
  // Never below 0: a wrong sum must not make mail undeletable.
  database.run('UPDATE account SET used = max(used + ?, 0) WHERE id = ?', bytes, account);
}

/** UIDs of expunged messages that a mailbox remembers for RFC 7162 VANISHED: some weeks of an ordinary account. */
export const MAX_EXPUNGED = 1000;

/**
 * Removes messages of one mailbox, ascending by UID, with their bodies, and tells it: one MODSEQ, one change. What the
 * account uses is not touched where `keepsUsed` says so (a move).
 */
export function removeMessages(
  transaction: Transaction,
  mailbox: MailboxRow,
  rows: readonly { readonly uid: number; readonly size: number; readonly body: number }[],
  how: { readonly origin?: string | undefined; readonly keepsUsed?: boolean } = {},
): void {
  if (rows.length === 0) return;
  const { database } = transaction;
  const modseq = nextModseq(database, mailbox.id);
  let bytes = 0;
  for (const { uid, size, body } of rows) {
    database.run('DELETE FROM message WHERE mailbox = ? AND uid = ?', mailbox.id, uid);
    dropBodyIfUnused(transaction, body);
    bytes += size;
  }
  if (!how.keepsUsed) addUsed(database, mailbox.account, -bytes);
  const uids = rows.map(({ uid }) => uid);
  rememberExpunged(database, mailbox.id, modseq, uids);
  transaction.changes.push({
    kind: 'expunge',
    account: accountId(mailbox.account),
    mailbox: mailboxId(mailbox.id),
    modseq,
    uids,
    ...(how.origin === undefined ? {} : { origin: how.origin }),
  });
}

/** Keeps the newest expunged UIDs, a MODSEQ with all its UIDs or not at all, and notes what was forgotten. */
function rememberExpunged(
  database: Database,
  mailbox: number,
  modseq: number,
  uids: readonly number[],
): void {
  if (uids.length <= MAX_EXPUNGED)
    for (const uid of uids)
      database.run('INSERT INTO expunged (mailbox, modseq, uid) VALUES (?, ?, ?)', mailbox, modseq, uid);
  const floor =
    uids.length > MAX_EXPUNGED
      ? modseq
      : database.get<{ modseq: number }>(
          'SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?',
          mailbox,
          MAX_EXPUNGED,
        )?.modseq;
  if (floor === undefined) return;
  database.run('DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?', mailbox, floor);
  database.run('UPDATE mailbox SET expunged_floor = ? WHERE id = ?', floor, mailbox);
}
