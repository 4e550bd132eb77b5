import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { syncDirectory } from './body-files.ts';
import { create, lockDirectory } from './lock.ts';

/** Where a SQLite store keeps things, all of them absolute. */
export interface StorePaths {
  readonly directory: string;
  readonly database: string;
  readonly bodies: string;
}

export function pathsOf(dataDir: string): StorePaths {
  const directory = resolve(dataDir);
  return { directory, database: join(directory, 'store.db'), bodies: join(directory, 'bodies') };
}

/**
 * Makes what is missing and keeps a second Teal out until disposed of; rejects, with a text for the operator, where
 * there is one already.
 */
export async function takeDirectory(paths: StorePaths): Promise<Disposable> {
  const { directory, database, bodies } = paths;
  // For the owner alone: nobody else on the machine reads mail.
  for (const made of [directory, bodies]) {
    mkdirSync(made, { recursive: true, mode: 0o700 });
    chmodSync(made, 0o700);
  }
  const lock = lockDirectory(directory);
  try {
    refuseLostDatabase(paths);
    create(database);
    // What is new here is durable before the first message is. (SQLite does the same for its log.)
    for (const made of [dirname(directory), directory]) await syncDirectory(made);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
  return lock;
}

/**
 * A database that is missing or empty beside bodies of messages was lost or taken away: a new one would make orphans of
 * them, and orphans are removed. Throws, with a text for the operator.
 */
function refuseLostDatabase({ database, bodies }: StorePaths): void {
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  // A database that was killed before its first checkpoint is all in its log.
  if (size(database) > 0 || size(`${database}-wal`) > 0 || readdirSync(bodies).length === 0) return;
  throw new Error(
    `the database ${database} is lost, but ${bodies} still holds mail: bring the database back from a backup, ` +
      'or move the directory away to begin anew',
  );
}
