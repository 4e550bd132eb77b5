import type { Values } from '../contract.ts';
import { openPart } from './beside.ts';
import { reading } from './database.ts';
import { value, valuesWith } from './reads/accounts.ts';
import { removeValueIf, setValue, setValueIf, setValueOnce } from './writes/values.ts';

/** The values of a data directory, for a command (beside.ts). */
export function openSqliteValues(dataDir: string): Promise<Values & AsyncDisposable> {
  return openPart<Values>(dataDir, {
    own: (store) => store.values,
    beside: (database) => {
      const transaction = { database };
      return {
        get: async (key) => reading(() => value(database, key)),
        set: async (key, text) => reading(() => setValue(transaction, { key, value: text })),
        setOnce: async (key, text) => reading(() => setValueOnce(transaction, { key, value: text })),
        setIf: async (key, was, text) => reading(() => setValueIf(transaction, { key, was, value: text })),
        removeIf: async (key, was) => reading(() => removeValueIf(transaction, { key, value: was })),
        list: async (prefix) => reading(() => valuesWith(database, prefix)),
      };
    },
  });
}
