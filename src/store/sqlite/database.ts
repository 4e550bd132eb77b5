import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { StoreUnavailable } from '../contract.ts';

/**
 * One connection. The only file that knows node:sqlite, whose names change in later versions of Node (runtime.md 1.6).
 * Its statements are kept by their text, so texts must be constants: values go in as parameters.
 */
export interface Database extends Disposable {
  /** Rows come as the columns named in `Row`; STRICT tables and NOT NULL are what makes that true. */
  get<Row>(sql: string, ...parameters: readonly SQLInputValue[]): Row | undefined;
  all<Row>(sql: string, ...parameters: readonly SQLInputValue[]): Row[];
  /** Answers with the number of rows written. */
  run(sql: string, ...parameters: readonly SQLInputValue[]): number;
  /** Several statements at once, without parameters. */
  exec(sql: string): void;
  /** Several reads of one instant. */
  atOneInstant<Result>(read: () => Result): Result;
  /** False when SQLite itself has rolled back (disk full, input/output error). */
  readonly inTransaction: boolean;
}

export type Blob = Uint8Array<ArrayBuffer>;

/**
 * How long a connection waits for another process that holds the database (an administrator's sqlite3), in ms. Ours
 * never wait for each other: there is one writer, and WAL readers need no lock.
 */
export const BUSY_TIMEOUT = 5000;
/** Page cache of the writer and of each reader, in KB. */
const CACHE_SIZE = 16 * 1024;
/** The write-ahead log is cut down to this many bytes when it starts anew. */
const JOURNAL_LIMIT = 16 * 1024 * 1024;

/** The one connection that writes; makes the database if there is none. */
export function openForWriting(path: string, busyTimeout = BUSY_TIMEOUT): Database {
  const raw = new DatabaseSync(path, { timeout: busyTimeout, enableForeignKeyConstraints: true });
  // page_size and auto_vacuum count only before the first table, page_size only before WAL (runtime.md 3.4).
  raw.exec(`
    PRAGMA page_size = 8192;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -${CACHE_SIZE};
    PRAGMA journal_size_limit = ${JOURNAL_LIMIT};
  `);
  return wrap(raw);
}

/** A connection that only reads; the database must be there. */
export function openForReading(path: string, busyTimeout = BUSY_TIMEOUT): Database {
  const raw = new DatabaseSync(path, { readOnly: true, timeout: busyTimeout });
  raw.exec(`PRAGMA temp_store = MEMORY; PRAGMA cache_size = -${CACHE_SIZE};`);
  return wrap(raw);
}

function wrap(raw: DatabaseSync): Database {
  const statements = new Map<string, StatementSync>();
  const prepared = (sql: string): StatementSync => {
    let statement = statements.get(sql);
    if (!statement) {
      statement = raw.prepare(sql);
      statements.set(sql, statement);
    }
    return statement;
  };
  return {
    get: <Row>(sql: string, ...parameters: readonly SQLInputValue[]) =>
      prepared(sql).get(...parameters) as Row | undefined,
    all: <Row>(sql: string, ...parameters: readonly SQLInputValue[]) =>
      prepared(sql).all(...parameters) as Row[],
    run: (sql, ...parameters) => Number(prepared(sql).run(...parameters).changes),
    exec: (sql) => raw.exec(sql),
    atOneInstant: (read) => {
      raw.exec('BEGIN');
      try {
        return read();
      } finally {
        // An error of the disk may have ended it already.
        if (raw.isTransaction) raw.exec('COMMIT');
      }
    },
    get inTransaction() {
      return raw.isTransaction;
    },
    [Symbol.dispose]: () => {
      if (raw.isOpen) raw.close();
    },
  };
}

/**
 * Result codes that are about the statement or the data, not about the disk: a fault of ours, the next try would fail
 * alike. SQLITE_ERROR, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE (sqlite.org/rescode.html).
 */
const faults: ReadonlySet<number> = new Set([1, 18, 19, 20, 21, 25]);

/** Whether SQLite says that the disk or the database file is the trouble, not what was asked of it. */
export function isDiskTrouble(error: unknown): error is Error {
  if (!(error instanceof Error) || !('errcode' in error)) return false;
  // The low byte is the primary code, the rest says more about it.
  return typeof error.errcode === 'number' && !faults.has(error.errcode & 0xff);
}

/** Runs a read; what is wrong with the disk comes out as StoreUnavailable. */
export function reading<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (isDiskTrouble(error)) throw new StoreUnavailable(error.message, { cause: error });
    throw error;
  }
}

/** node:sqlite gives BLOBs as Uint8Array; this is the same memory as a Buffer. */
export function asBuffer(blob: Uint8Array): Buffer {
  return Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
}
