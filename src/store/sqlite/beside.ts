import type { Store } from '../contract.ts';
import type { Database } from './database.ts';
import { openForWriting } from './database.ts';
import { pathsOf } from './directory.ts';
import { DirectoryTaken } from './lock.ts';
import { checkIsNewest } from './migrate.ts';
import { openSqliteStore } from './open.ts';

/** The same part of a store, from a store that is ours or from the database of another. */
export interface PartOfStore<Part> {
  readonly own: (store: Store) => Part;
  /** Each of its writes is one small transaction, for which the Teal beside waits. */
  readonly beside: (database: Database) => Part;
}

/**
 * A part of the store of a data directory, for a command. Where a Teal is running with it, it is read and written beside
 * that one. Where none is, the store is made if it is missing.
 */
export async function openPart<Part extends object>(
  dataDir: string,
  part: PartOfStore<Part>,
): Promise<Part & AsyncDisposable> {
  try {
    const store = await openSqliteStore({ dataDir, quota: 0, onChange: () => {} });
    return { ...part.own(store), [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  } catch (error) {
    if (!(error instanceof DirectoryTaken)) throw error;
    using opening = new DisposableStack();
    const database = opening.use(openForWriting(pathsOf(dataDir).database));
    checkIsNewest(database);
    const open = opening.move();
    return { ...part.beside(database), [Symbol.asyncDispose]: async () => open.dispose() };
  }
}
