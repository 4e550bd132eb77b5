import type { Database } from './database.ts';
import { initial } from './migrations/001-initial.ts';
import { queue } from './migrations/002-queue.ts';
import { signUpTokens } from './migrations/003-sign-up-tokens.ts';

/** In order; the place is the number (1 is the first), which PRAGMA user_version keeps. Never change one that is out. */
export const migrations: readonly string[] = [initial, queue, signUpTokens];

/** `Teal` in ASCII: PRAGMA application_id of our databases. */
const APPLICATION_ID = 0x5465616c;

/**
 * Brings the schema to the newest form, each step in a transaction of its own. Throws, with a text for the operator,
 * where the file is another program's or a newer Teal's.
 */
export function migrate(database: Database, steps: readonly string[] = migrations): void {
  const version = versionOf(database);
  if (version > steps.length)
    throw new Error(
      `the database in data_dir was written by a newer Teal (schema ${version}, this one knows ${steps.length}): ` +
        'start that version again, or restore the backup made before it',
    );
  for (const [index, step] of steps.entries()) {
    if (index < version) continue;
    database.exec('BEGIN IMMEDIATE');
    try {
      database.exec(step);
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${index + 1}`);
      database.exec('COMMIT');
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }
}

/** For those who may not write. Throws, with a text for the operator, where a write would first bring the schema up. */
export function checkIsNewest(database: Database): void {
  const version = versionOf(database);
  if (version !== migrations.length)
    throw new Error(
      `the database in data_dir was written by another version of Teal (schema ${version}, this one has ` +
        `${migrations.length}): start this one with it once`,
    );
}

/** The number of steps that the database has seen, 0 of an empty one. */
function versionOf(database: Database): number {
  const application = number(database, 'PRAGMA application_id');
  const empty = number(database, 'SELECT count(*) FROM sqlite_schema') === 0;
  if (application !== APPLICATION_ID && !(empty && application === 0))
    throw new Error('the database in data_dir was not made by Teal');
  return number(database, 'PRAGMA user_version');
}

function number(database: Database, sql: string): number {
  return Object.values(database.get<Record<string, number>>(sql) ?? {})[0] ?? 0;
}
