import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '../../src/machine.ts';
import { openSqliteSource } from '../../src/store/sqlite/move-source.ts';
import { openSqliteTarget } from '../../src/store/sqlite/move-target.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { Place } from '../contract/move.ts';

/** A data directory of its own. */
export async function sqlitePlace(): Promise<Place> {
  const dataDir = await mkdtemp(join(tmpdir(), 'teal-move-'));
  return {
    openStore: (options) => openSqliteStore({ ...options, dataDir }),
    openSource: () => openSqliteSource(dataDir),
    openTarget: () => openSqliteTarget(dataDir),
    [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }),
  };
}

/** A database of its own. */
export async function wildduckPlace(): Promise<Place> {
  // Loaded when they are used: WildDuck need not be here.
  const { openTestDatabase } = await import('./test-database.ts');
  const { openWildduckStore } = await import('../../src/store/wildduck/open.ts');
  const { openWildduckSource } = await import('../../src/store/wildduck/move-source.ts');
  const { openWildduckTarget } = await import('../../src/store/wildduck/move-target.ts');
  const opened = await openTestDatabase();
  const parts = {
    mongodbUrl: opened.mongodbUrl,
    redisUrl: opened.redisUrl,
    database: opened.name,
    clock: systemClock,
    random: systemRandom,
    onFault: (where: string, error: Error) => {
      throw new Error(`${where}: ${error.message}`, { cause: error });
    },
  };
  return {
    openStore: (options) => openWildduckStore({ ...parts, ...options }),
    openSource: () => openWildduckSource(parts),
    openTarget: () => openWildduckTarget({ ...parts, quota: 1024 ** 3 }),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
