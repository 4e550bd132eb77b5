import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDiskTrouble } from './database.ts';

/** The directory is another process's; the message is for the operator. */
export class DirectoryTaken extends Error {
  override name = 'DirectoryTaken';
}

/**
 * Keeps a second Teal out of the directory until disposed of; throws, with a text for the operator, if there is one
 * already. It is SQLite's lock on an empty database of its own, an fcntl lock underneath: the kernel takes it back
 * however the process ends, so no stale lock is ever left.
 */
export function lockDirectory(directory: string): Disposable {
  const path = join(directory, 'lock');
  create(path);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (isDiskTrouble(error) && 'errcode' in error && error.errcode === SQLITE_BUSY)
      throw new DirectoryTaken(`another Teal is running with the data directory ${directory}`, {
        cause: error,
      });
    throw error;
  }
  return {
    [Symbol.dispose]: () => {
      if (database.isOpen) database.close();
    },
  };
}

const SQLITE_BUSY = 5;

/**
 * Makes the file with its permissions if it is missing; SQLite gives the same ones to what it puts beside it. One that
 * is there is not opened: closing any descriptor of a file drops the fcntl locks this process holds on it.
 */
export function create(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}
