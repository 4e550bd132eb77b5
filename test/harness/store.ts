import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Change, Store } from '../../src/store/contract.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { SqliteOptions } from '../../src/store/sqlite/open.ts';

/** A store in a directory of its own, which goes when it is disposed of. */
export interface TestStore extends AsyncDisposable {
  readonly store: Store;
  readonly dataDir: string;
  /** What the store has told, in order. */
  readonly changes: readonly Change[];
}

/** Opens a fresh SQLite store with a quota of 100 MB; faults that nobody waits for are thrown into the test run. */
export async function openTestStore(overrides: Partial<SqliteOptions> = {}): Promise<TestStore> {
  const fresh = overrides.dataDir === undefined;
  const dataDir = overrides.dataDir ?? (await mkdtemp(join(tmpdir(), 'teal-store-')));
  const changes: Change[] = [];
  const store = await openSqliteStore({
    quota: 100 * 1024 * 1024,
    onFault: (where, error) => {
      throw new Error(`${where}: ${error.message}`, { cause: error });
    },
    ...overrides,
    dataDir,
    onChange: (change) => {
      changes.push(change);
      overrides.onChange?.(change);
    },
  });
  return {
    store,
    dataDir,
    changes,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      if (fresh) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
