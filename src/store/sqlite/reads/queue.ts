import type { WaitingDestination, WaitingRow } from '../../contract.ts';
import type { Database } from '../database.ts';
import type { BodyPlace } from './messages.ts';

/** Up to `limit` destinations with rows that are due, of `only` where it is there; the one due the longest first. */
export function dueDestinations(
  database: Database,
  now: number,
  except: readonly string[],
  limit: number,
  only?: readonly string[],
): string[] {
  if (only !== undefined) return namedDueDestinations(database, now, except, only).slice(0, limit);
  return database
    .all<{ destination: string }>(
      `SELECT destination FROM queue_destination
       WHERE due <= ? AND destination NOT IN (SELECT value FROM json_each(?)) ORDER BY due, destination LIMIT ?`,
      now,
      JSON.stringify(except),
      limit,
    )
    .map(({ destination }) => destination);
}

/** By their names, not by time: those that are not asked for may be many, and due for longer. */
function namedDueDestinations(
  database: Database,
  now: number,
  except: readonly string[],
  only: readonly string[],
): string[] {
  const passed = new Set(except);
  return database
    .all<{ destination: string; due: number }>(
      `SELECT destination, due FROM queue_destination
       WHERE destination IN (SELECT value FROM json_each(?)) AND due <= ?`,
      JSON.stringify(only.filter((destination) => !passed.has(destination))),
      now,
    )
    .sort((one, other) => one.due - other.due)
    .map(({ destination }) => destination);
}

export function nextQueueDue(database: Database, except: readonly string[]): number | undefined {
  return database.get<{ due: number }>(
    `SELECT due FROM queue_destination WHERE destination NOT IN (SELECT value FROM json_each(?))
     ORDER BY due LIMIT 1`,
    JSON.stringify(except),
  )?.due;
}

/** As `body` of reads/messages.ts. */
export function queuedBody(database: Database, message: number, inlineUpTo: number): BodyPlace | undefined {
  return database.get(
    `SELECT body.size, body.header_size AS headerSize, body.file,
       CASE WHEN body.file IS NULL AND body.size <= ?2 THEN body.header END AS header,
       CASE WHEN body.file IS NULL AND body.size <= ?2 THEN body.text END AS text
     FROM queue_message q JOIN body ON body.id = q.body WHERE q.id = ?1`,
    message,
    inlineUpTo,
  );
}

/** Goes through all rows: for people, in the reader. */
export function waitingDestinations(database: Database, limit: number): WaitingDestination[] {
  return database.all(
    `SELECT w.destination, w.rows, q.queued_at AS oldest, w.nextDue
     FROM (SELECT destination, count(*) AS rows, min(message) AS first, min(due) AS nextDue
           FROM queue_row GROUP BY destination) w
     JOIN queue_message q ON q.id = w.first ORDER BY q.queued_at, w.destination LIMIT ?`,
    limit,
  );
}

/** Goes through all rows of the destination. */
export function waitingRows(database: Database, destination: string, limit: number): WaitingRow[] {
  return database.all(
    `SELECT r.recipient, q.sender, q.queued_at AS queuedAt, body.size, r.attempts, r.due, r.reason
     FROM (SELECT message, destination, number FROM queue_row
           WHERE destination = ?1 ORDER BY message, number LIMIT ?2) w
     JOIN queue_row r ON r.message = w.message AND r.destination = w.destination AND r.number = w.number
     JOIN queue_message q ON q.id = r.message JOIN body ON body.id = q.body
     ORDER BY r.message, r.number`,
    destination,
    limit,
  );
}
