import { existsSync } from 'node:fs';
import type { Queue } from '../contract.ts';
import { openForReading, reading } from './database.ts';
import { pathsOf } from './directory.ts';
import { checkIsNewest } from './migrate.ts';
import { waitingDestinations, waitingRows } from './reads/queue.ts';

/**
 * What waits in the queue of a data directory, for a command: read only, whether or not a Teal is running with it.
 * Throws, with a text for the operator, where there is no store, and where its schema is another version's.
 */
export function openSqliteQueueListing(
  dataDir: string,
): Pick<Queue, 'destinations' | 'rows'> & AsyncDisposable {
  const paths = pathsOf(dataDir);
  if (!existsSync(paths.database)) throw new Error(`there is no store in ${paths.directory}`);
  using opening = new DisposableStack();
  const database = opening.use(openForReading(paths.database));
  checkIsNewest(database);
  const open = opening.move();
  return {
    destinations: async (limit) => reading(() => waitingDestinations(database, limit)),
    rows: async (destination, limit) => reading(() => waitingRows(database, destination, limit)),
    [Symbol.asyncDispose]: async () => open.dispose(),
  };
}
