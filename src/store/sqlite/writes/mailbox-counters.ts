import type { Database } from '../database.ts';

/** A mailbox as the writes see it. */
export interface MailboxRow {
  readonly id: number;
  readonly account: number;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly modseq: number;
}

const columns = 'id, account, uid_validity AS uidValidity, uid_next AS uidNext, highest_modseq AS modseq';

export function mailboxRow(database: Database, id: number): MailboxRow | undefined {
  return database.get(`SELECT ${columns} FROM mailbox WHERE id = ? AND account IS NOT NULL`, id);
}

export function inboxRow(database: Database, account: number): MailboxRow | undefined {
  return database.get(`SELECT ${columns} FROM mailbox WHERE account = ? AND name = 'INBOX'`, account);
}

/** Takes the next MODSEQ of the mailbox. */
export function nextModseq(database: Database, mailbox: number): number {
  return taken(
    database.get<{ modseq: number }>(
      'UPDATE mailbox SET highest_modseq = highest_modseq + 1 WHERE id = ? RETURNING highest_modseq AS modseq',
      mailbox,
    ),
  ).modseq;
}

/** Takes the next UID and MODSEQ: they become visible together with the message, when the transaction is committed. */
export function nextUid(database: Database, mailbox: number): { uid: number; modseq: number } {
  return taken(
    database.get(
      `UPDATE mailbox SET uid_next = uid_next + 1, highest_modseq = highest_modseq + 1
       WHERE id = ? RETURNING uid_next - 1 AS uid, highest_modseq AS modseq`,
      mailbox,
    ),
  );
}

function taken<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new Error('the mailbox went within its own transaction');
  return row;
}
