import type { Message } from '../../contract.ts';
import type { Blob, Database } from '../database.ts';
import { messageColumns, toMessage } from '../rows.ts';
import type { MessageRow } from '../rows.ts';

/** A removed mailbox keeps its rows until they are swept (`sweepRemoved`): nobody sees them. */
const shown = 'JOIN mailbox b ON b.id = m.mailbox AND b.account IS NOT NULL';

export function messagesByUid(database: Database, mailbox: number, uids: readonly number[]): Message[] {
  return database
    .all<MessageRow>(
      `SELECT ${messageColumns} FROM message m ${shown}
       WHERE m.mailbox = ? AND m.uid IN (SELECT value FROM json_each(?)) ORDER BY m.uid`,
      mailbox,
      JSON.stringify(uids),
    )
    .map(toMessage);
}

export function changedSince(database: Database, mailbox: number, modseq: number): Message[] {
  return database
    .all<MessageRow>(
      // Without INDEXED BY SQLite would scan the mailbox, for its order; what has changed is little.
      `SELECT ${messageColumns} FROM message m INDEXED BY message_modseq ${shown}
       WHERE m.mailbox = ? AND m.modseq > ? ORDER BY m.uid`,
      mailbox,
      modseq,
    )
    .map(toMessage);
}

export function expungedSince(
  database: Database,
  mailbox: number,
  modseq: number,
): { uids: number[]; complete: boolean } {
  return database.atOneInstant(() => {
    const known = database.get<{ floor: number }>(
      'SELECT expunged_floor AS floor FROM mailbox WHERE id = ? AND account IS NOT NULL',
      mailbox,
    );
    const rows = database.all<{ uid: number }>(
      'SELECT uid FROM expunged WHERE mailbox = ? AND modseq > ? ORDER BY uid',
      mailbox,
      modseq,
    );
    return { uids: rows.map(({ uid }) => uid), complete: known !== undefined && modseq >= known.floor };
  });
}

/** Where a header block is: in the row, or at the start of a file. */
export interface HeaderPlace {
  readonly uid: number;
  readonly headerSize: number;
  readonly header: Blob | null;
  readonly file: string | null;
}

export function headers(database: Database, mailbox: number, uids: readonly number[]): HeaderPlace[] {
  return database.all(
    `SELECT m.uid, m.header_size AS headerSize, body.header, body.file
     FROM message m ${shown} JOIN body ON body.id = m.body
     WHERE m.mailbox = ? AND m.uid IN (SELECT value FROM json_each(?)) ORDER BY m.uid`,
    mailbox,
    JSON.stringify(uids),
  );
}

/** Where a body is: in a file or, both parts together, in the row (`header` and `text` null: larger than asked for). */
export interface BodyPlace {
  readonly size: number;
  readonly headerSize: number;
  readonly file: string | null;
  readonly header: Blob | null;
  readonly text: Blob | null;
}

/** The bytes come along only where there are at most `inlineUpTo` of them in the row. */
export function body(
  database: Database,
  mailbox: number,
  uid: number,
  inlineUpTo: number,
): BodyPlace | undefined {
  return database.get(
    `SELECT body.size, body.header_size AS headerSize, body.file,
       CASE WHEN body.file IS NULL AND body.size <= ?3 THEN body.header END AS header,
       CASE WHEN body.file IS NULL AND body.size <= ?3 THEN body.text END AS text
     FROM message m ${shown} JOIN body ON body.id = m.body WHERE m.mailbox = ?1 AND m.uid = ?2`,
    mailbox,
    uid,
    inlineUpTo,
  );
}

/** Those of `names` that a row knows. */
export function knownFiles(database: Database, names: readonly string[]): string[] {
  return database
    .all<{ file: string }>(
      'SELECT file FROM body WHERE file IN (SELECT value FROM json_each(?))',
      JSON.stringify(names),
    )
    .map(({ file }) => file);
}
