import { chmodSync, mkdirSync } from 'node:fs';
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
export async function takeDirectory({ directory, database, bodies }: StorePaths): Promise<Disposable> {
  // For the owner alone: nobody else on the machine reads mail.
  for (const made of [directory, bodies]) {
    mkdirSync(made, { recursive: true, mode: 0o700 });
    chmodSync(made, 0o700);
  }
  const lock = lockDirectory(directory);
  try {
    create(database);
    // What is new here is durable before the first message is. (SQLite does the same for its log.)
    for (const made of [dirname(directory), directory]) await syncDirectory(made);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
  return lock;
}
