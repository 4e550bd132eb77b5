import type { Blob, Database } from '../database.ts';
import type { Transaction } from '../transaction.ts';

/** A message's bytes on their way into a row: whole, or in a file that is already durable. */
export type NewBody =
  | { readonly kind: 'inline'; readonly bytes: Blob; readonly headerSize: number }
  | {
      readonly kind: 'file';
      readonly file: string;
      readonly size: number;
      readonly headerSize: number;
      /** The header block, unless it is too long to be kept twice. */
      readonly header: Blob | undefined;
    };

export function bodySize(body: NewBody): number {
  return body.kind === 'inline' ? body.bytes.byteLength : body.size;
}

/** Answers with the row's id. The first row that names it, in a mailbox or the queue, must come in the same transaction. */
export function insertBody(database: Database, body: NewBody): number {
  const header = body.kind === 'inline' ? body.bytes.subarray(0, body.headerSize) : (body.header ?? null);
  const text = body.kind === 'inline' ? body.bytes.subarray(body.headerSize) : null;
  const row = database.get<{ id: number }>(
    'INSERT INTO body (size, header_size, file, header, text) VALUES (?, ?, ?, ?, ?) RETURNING id',
    bodySize(body),
    body.headerSize,
    body.kind === 'file' ? body.file : null,
    header,
    text,
  );
  if (!row) throw new Error('SQLite gave no id for a body');
  return row.id;
}

/** Removes a body that no mailbox and nothing in the queue names any more; its file goes after the commit. */
export function dropBodyIfUnused({ database, unlink }: Transaction, id: number): void {
  // The rows themselves are the reference count (indexes message_body and queue_message_body): there is no number that could drift.
  if (database.get('SELECT 1 FROM message WHERE body = ? LIMIT 1', id)) return;
  if (database.get('SELECT 1 FROM queue_message WHERE body = ? LIMIT 1', id)) return;
  const gone = database.get<{ file: string | null }>('DELETE FROM body WHERE id = ? RETURNING file', id);
  if (gone?.file) unlink.push(gone.file);
}
