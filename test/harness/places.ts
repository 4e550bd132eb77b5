import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
