import type { Values } from '../contract.ts';
import { openForWriting, reading } from './database.ts';
import { pathsOf } from './directory.ts';
import { DirectoryTaken } from './lock.ts';
import { checkIsNewest } from './migrate.ts';
import { openSqliteStore } from './open.ts';
import { value, valuesWith } from './reads/accounts.ts';
import { removeValueIf, setValue, setValueIf, setValueOnce } from './writes/values.ts';

/**
 * The values of a data directory, for a command. Where a Teal is running with it, they are read and written beside it:
 * each write is one small transaction, for which that Teal waits. Where none is, the store is made if it is missing.
 */
export async function openSqliteValues(dataDir: string): Promise<Values & AsyncDisposable> {
  try {
    const store = await openSqliteStore({ dataDir, quota: 0, onChange: () => {} });
    return { ...store.values, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  } catch (error) {
    if (error instanceof DirectoryTaken) return openBeside(pathsOf(dataDir).database);
    throw error;
  }
}

function openBeside(path: string): Values & AsyncDisposable {
  using opening = new DisposableStack();
  const database = opening.use(openForWriting(path));
  checkIsNewest(database);
  const transaction = { database };
  const open = opening.move();
  return {
    get: async (key) => reading(() => value(database, key)),
    set: async (key, text) => reading(() => setValue(transaction, { key, value: text })),
    setOnce: async (key, text) => reading(() => setValueOnce(transaction, { key, value: text })),
    setIf: async (key, was, text) => reading(() => setValueIf(transaction, { key, was, value: text })),
    removeIf: async (key, was) => reading(() => removeValueIf(transaction, { key, value: was })),
    list: async (prefix) => reading(() => valuesWith(database, prefix)),
    [Symbol.asyncDispose]: async () => open.dispose(),
  };
}
