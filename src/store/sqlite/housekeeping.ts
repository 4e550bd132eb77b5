import type { Database } from './database.ts';

/** The writer has had nothing to do for so long, in ms: then it tidies up. */
const IDLE = 250;
/** A writer that is never idle tidies up anyway after so long, in ms: expunged mail must not stay in the log for ever. */
const MAX_WAIT = 30_000;
/** Pages given back to the file system in one slice: about 2 ms (runtime.md 3.4). */
const SLICE = 64;
/** From one slice to the next, in ms: what has arrived meanwhile comes first. */
const PAUSE = 20;
/** Free pages are given back only when they are more than this, and a quarter of the file: new mail uses them again. */
const FREE_PAGES = 1024;
/** How long the log's truncation may wait for a reader, in ms: deliveries wait meanwhile. */
const CHECKPOINT_WAIT = 20;

export interface Housekeeping extends Disposable {
  /** To be told after every transaction. */
  wrote(): void;
}

/**
 * In the writer, between transactions: truncates the write-ahead log, which otherwise keeps what was expunged from the
 * database (promise 7), and gives free pages back, both in slices of a few ms.
 */
export function createHousekeeping(
  database: Database,
  busyTimeout: number,
  onFault: (error: unknown) => void,
): Housekeeping {
  let idle: NodeJS.Timeout | undefined;
  let latest: NodeJS.Timeout | undefined;

  const rest = () => {
    clearTimeout(idle);
    clearTimeout(latest);
    idle = latest = undefined;
  };
  /** `overdue`: the log's turn has come, whether or not there is still room to give back. */
  const tidy = (overdue: boolean) => {
    rest();
    try {
      const more = vacuumSlice(database);
      const emptied = more && !overdue ? undefined : truncateLog(database, CHECKPOINT_WAIT, busyTimeout);
      if (more) soon(PAUSE);
      else if (emptied === false) soon();
    } catch (error) {
      onFault(error);
    }
  };
  const soon = (wait = IDLE) => {
    clearTimeout(idle);
    idle = setTimeout(() => tidy(false), wait);
    latest ??= setTimeout(() => tidy(true), MAX_WAIT);
  };
  return { wrote: () => soon(), [Symbol.dispose]: rest };
}

/** Whether there is more to give back. */
function vacuumSlice(database: Database): boolean {
  const free = pragma(database, 'freelist_count');
  if (free < FREE_PAGES || free * 4 < pragma(database, 'page_count')) return false;
  // A statement of its own each time: it gives back a page per step, and stops when it is finalized.
  database.exec(`PRAGMA incremental_vacuum(${SLICE})`);
  return true;
}

/** Moves all of the log into the database and empties it; false where a reader was in the way. */
export function truncateLog(database: Database, wait: number, busyTimeout: number): boolean {
  database.exec(`PRAGMA busy_timeout = ${wait}`);
  try {
    return pragma(database, 'wal_checkpoint(TRUNCATE)', 'busy') === 0;
  } finally {
    database.exec(`PRAGMA busy_timeout = ${busyTimeout}`);
  }
}

function pragma(database: Database, name: string, column = name): number {
  return database.get<Record<string, number>>(`PRAGMA ${name}`)?.[column] ?? 0;
}
