import { systemClock, systemRandom } from '../../src/machine.ts';
import type { Change, Store } from '../../src/store/contract.ts';
import { openWildduckStore } from '../../src/store/wildduck/open.ts';
import type { WildduckOptions } from '../../src/store/wildduck/open.ts';
import { openTestDatabase } from './test-database.ts';
import type { TestDatabase } from './test-database.ts';

/** A WildDuck store in a database of its own, which goes when it is disposed of. */
export interface TestWildduck extends AsyncDisposable {
  readonly store: Store;
  readonly database: TestDatabase;
  /** What the store has told, in order. */
  readonly changes: readonly Change[];
}

/** Opens a fresh store with a quota of 100 MB; or one more on `database`, which then stays when it is disposed of. */
export async function openTestWildduck(
  overrides: Partial<WildduckOptions> = {},
  database?: TestDatabase,
): Promise<TestWildduck> {
  const own = database ?? (await openTestDatabase());
  const changes: Change[] = [];
  const store = await openWildduckStore({
    mongodbUrl: own.mongodbUrl,
    redisUrl: own.redisUrl,
    database: own.name,
    clock: systemClock,
    random: systemRandom,
    quota: 100 * 1024 * 1024,
    onFault: (where, error) => {
      throw new Error(`${where}: ${error.message}`, { cause: error });
    },
    ...overrides,
    onChange: (change) => {
      changes.push(change);
      overrides.onChange?.(change);
    },
  });
  let closed: Promise<void> | undefined;
  const close = async () => {
    await store[Symbol.asyncDispose]();
    if (!database) await own[Symbol.asyncDispose]();
  };
  return {
    store,
    database: own,
    changes,
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}
