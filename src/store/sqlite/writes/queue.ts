import { MAX_REASON } from '../../contract.ts';
import type {
  ClaimWish,
  KeptSignature,
  Outgoing,
  QueueBatch,
  QueuedId,
  QueueRow,
  RowOutcome,
} from '../../contract.ts';
import type { Database } from '../database.ts';
import { queuedId, rowOf } from '../ids.ts';
import { dueDestinations } from '../reads/queue.ts';
import type { Transaction } from '../transaction.ts';
import { dropBodyIfUnused } from './bodies.ts';

/** A row for each recipient, due at once. */
export function putInQueue(
  { database, changes }: Transaction,
  body: number,
  { sender, recipients }: Outgoing,
  now: number,
): void {
  const message = insertQueueMessage(database, { body, sender, queuedAt: now });
  for (const [number, { address, destination }] of recipients.entries())
    insertQueueRow(database, message, number, {
      recipient: address,
      destination,
      attempts: 0,
      due: now,
      reason: '',
    });
  changes.push({ kind: 'queue' });
}

export interface NewQueueMessage {
  readonly body: number;
  readonly sender: string;
  readonly queuedAt: number;
  readonly signature?: KeptSignature | undefined;
  readonly moved?: string;
}

/** Answers with the row's id; its first queue_row must come in the same transaction. */
export function insertQueueMessage(database: Database, message: NewQueueMessage): number {
  const row = database.get<{ id: number }>(
    `INSERT INTO queue_message (body, sender, queued_at, signature_keys, signature_fields, moved)
     VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
    message.body,
    message.sender,
    message.queuedAt,
    message.signature?.keys ?? null,
    message.signature?.fields ?? null,
    message.moved ?? null,
  );
  if (!row) throw new Error('SQLite gave no id for a queued message');
  return row.id;
}

export interface NewQueueRow {
  readonly recipient: string;
  readonly destination: string;
  readonly attempts: number;
  readonly due: number;
  readonly reason: string;
}

export function insertQueueRow(database: Database, message: number, number: number, row: NewQueueRow): void {
  database.run(
    `INSERT INTO queue_row (message, destination, number, recipient, attempts, due, claimed, fence, reason)
     VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?)`,
    message,
    row.destination,
    number,
    row.recipient,
    row.attempts,
    row.due,
    row.reason,
  );
  database.run(
    `INSERT INTO queue_destination (destination, due) VALUES (?, ?)
     ON CONFLICT DO UPDATE SET due = min(due, excluded.due)`,
    row.destination,
    row.due,
  );
}

/** To be called whenever rows of the destination were claimed, put off or removed. */
function refreshDestination(database: Database, destination: string): void {
  const { due } = database.get<{ due: number | null }>(
    'SELECT min(due) AS due FROM queue_row WHERE destination = ?',
    destination,
  ) ?? { due: null };
  if (due === null) database.run('DELETE FROM queue_destination WHERE destination = ?', destination);
  else database.run('UPDATE queue_destination SET due = ? WHERE destination = ?', due, destination);
}

/**
 * Rows that one slice of a claim takes, or of renewing, roughly (the last batch may go above): some 5 ms that deliveries
 * wait for.
 */
export const MAX_CLAIMED_AT_ONCE = 200;

export interface ClaimRowsArguments extends ClaimWish {
  readonly now: number;
  /** Batches of each destination that earlier slices of this claim have taken. */
  readonly taken: ReadonlyMap<string, number>;
}

/** One slice of a claim; `more`: there may be others, ask again. */
export function claimRows(
  { database }: Transaction,
  { now, limit, perDestination, rowsPerBatch, leaseMs, except, only, taken }: ClaimRowsArguments,
): { batches: QueueBatch[]; more: boolean } {
  const batches: QueueBatch[] = [];
  let rows = 0;
  const full = [...taken].flatMap(([destination, count]) => (count >= perDestination ? [destination] : []));
  const room = () => batches.length < limit && rows < MAX_CLAIMED_AT_ONCE;
  // One look for the whole slice: each of them has a row at least, and what is taken makes no destination due.
  const most = Math.min(limit, MAX_CLAIMED_AT_ONCE);
  for (const destination of dueDestinations(database, now, [...except, ...full], most, only)) {
    if (!room()) break;
    for (let left = perDestination - (taken.get(destination) ?? 0); left > 0 && room(); left -= 1) {
      const batch = claimBatch(database, destination, now, rowsPerBatch, now + leaseMs);
      if (!batch) break;
      batches.push(batch);
      rows += batch.rows.length;
    }
    refreshDestination(database, destination);
  }
  return { batches, more: batches.length < limit && rows >= MAX_CLAIMED_AT_ONCE };
}

/** The message at this destination that has been due the longest, with all its rows that are due there. */
function claimBatch(
  database: Database,
  destination: string,
  now: number,
  limit: number,
  until: number,
): QueueBatch | undefined {
  const first = database.get<MessageRow>(
    `SELECT q.id, q.sender, q.queued_at AS queuedAt, q.signature_keys AS keys, q.signature_fields AS fields,
       body.size, body.header_size AS headerSize
     FROM queue_row r JOIN queue_message q ON q.id = r.message JOIN body ON body.id = q.body
     WHERE r.destination = ? AND r.due <= ? ORDER BY r.due, r.message LIMIT 1`,
    destination,
    now,
  );
  if (!first) return undefined;
  const { id, sender, queuedAt, size, headerSize, keys, fields } = first;
  const rows = database.all<{ number: number; recipient: string; attempts: number; fence: number }>(
    `SELECT number, recipient, attempts, fence FROM queue_row
     WHERE message = ? AND destination = ? AND due <= ? ORDER BY number LIMIT ?`,
    id,
    destination,
    now,
    limit,
  );
  // One fence for all of them: above each one's own, so that of every row it counts up.
  const fence = Math.max(...rows.map((row) => row.fence)) + 1;
  for (const { number } of rows)
    database.run(
      'UPDATE queue_row SET claimed = 1, fence = ?, due = ? WHERE message = ? AND destination = ? AND number = ?',
      fence,
      until,
      id,
      destination,
      number,
    );
  return {
    message: queuedId(id),
    destination,
    sender,
    queuedAt,
    size,
    headerSize,
    signature: keys === null || fields === null ? undefined : { keys, fields },
    rows: rows.map(({ number, recipient, attempts }) => ({ id: rowId(id, number), recipient, attempts })),
    fence,
  };
}

interface MessageRow {
  readonly id: number;
  readonly sender: string;
  readonly queuedAt: number;
  readonly size: number;
  readonly headerSize: number;
  readonly keys: string | null;
  readonly fields: string | null;
}

export interface RenewRowsArguments {
  readonly batches: readonly ClaimedRows[];
  /** When the leases end. */
  readonly until: number;
}

export interface ClaimedRows extends Pick<QueueBatch, 'message' | 'destination' | 'fence'> {
  readonly rows: readonly Pick<QueueRow, 'id'>[];
}

/** Answers with the indexes of batches of which a row is no longer theirs. */
export function renewRows({ database }: Transaction, { batches, until }: RenewRowsArguments): number[] {
  const lost: number[] = [];
  for (const [index, { message, destination, fence, rows }] of batches.entries()) {
    const renewed = database.run(
      `UPDATE queue_row SET due = max(due, ?)
       WHERE message = ? AND destination = ? AND fence = ? AND claimed = 1
         AND number IN (SELECT value FROM json_each(?))`,
      Math.round(until),
      rowOf(message),
      destination,
      fence,
      JSON.stringify(rows.map(numberOf)),
    );
    if (renewed < rows.length) lost.push(index);
  }
  for (const destination of new Set(batches.map((batch) => batch.destination)))
    refreshDestination(database, destination);
  return lost;
}

/**
 * At the start: who had claimed a row is dead, for one process has the store. Without this a row would wait for the end
 * of a lease that nobody holds. They come first.
 */
export function freeClaims({ database }: Transaction, _: undefined): void {
  const claimed = database.all<{ destination: string }>(
    'SELECT DISTINCT destination FROM queue_row WHERE claimed = 1',
  );
  database.run('UPDATE queue_row SET claimed = 0, due = 0 WHERE claimed = 1');
  for (const { destination } of claimed) refreshDestination(database, destination);
}

/** Of all rows ever, as those of messages are. */
const rowId = (message: number, number: number) => `${message}.${number}`;
const numberOf = ({ id }: Pick<QueueRow, 'id'>) => Number(id.slice(id.indexOf('.') + 1));

export function keepSignature(
  { database }: Transaction,
  { message, signature }: { readonly message: QueuedId; readonly signature: KeptSignature },
): void {
  database.run(
    'UPDATE queue_message SET signature_keys = ?, signature_fields = ? WHERE id = ?',
    signature.keys,
    signature.fields,
    rowOf(message),
  );
}

export interface SettleRowsArguments {
  readonly batch: QueueBatch;
  readonly outcomes: readonly RowOutcome[];
}

export function settleRows(transaction: Transaction, { batch, outcomes }: SettleRowsArguments): void {
  const { database } = transaction;
  const message = rowOf(batch.message);
  let settled = 0;
  for (const [index, row] of batch.rows.entries()) {
    const outcome = outcomes[index];
    if (!outcome) continue;
    const mine = [message, batch.destination, numberOf(row), batch.fence] as const;
    settled +=
      outcome.kind === 'done'
        ? database.run(
            `DELETE FROM queue_row
             WHERE message = ? AND destination = ? AND number = ? AND fence = ? AND claimed = 1`,
            ...mine,
          )
        : database.run(
            `UPDATE queue_row SET attempts = attempts + 1, due = ?, reason = ?, claimed = 0
             WHERE message = ? AND destination = ? AND number = ? AND fence = ? AND claimed = 1`,
            Math.round(outcome.at),
            outcome.reason.slice(0, MAX_REASON),
            ...mine,
          );
  }
  if (settled === 0) return;
  refreshDestination(database, batch.destination);
  dropIfSettled(transaction, message);
}

/** Removes a message whose last row has gone, and its bytes where no mailbox has them. */
function dropIfSettled(transaction: Transaction, message: number): void {
  const { database } = transaction;
  if (database.get('SELECT 1 FROM queue_row WHERE message = ? LIMIT 1', message)) return;
  const gone = database.get<{ body: number }>(
    'DELETE FROM queue_message WHERE id = ? RETURNING body',
    message,
  );
  if (gone) dropBodyIfUnused(transaction, gone.body);
}
