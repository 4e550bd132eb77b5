import type { Clock } from '../../clock.ts';
import type { Queue } from '../contract.ts';
import { connect, wrap } from './connect.ts';
import type { Collections, ConnectOptions } from './connect.ts';
import { createDatabaseClock } from './database-clock.ts';
import type { DatabaseClock } from './database-clock.ts';
import type { PlanDocument } from './documents.ts';

export type QueueListing = Pick<Queue, 'destinations' | 'rows'>;

/** What an operator asks of the queue. Both go through all rows, of the destination or at all. */
export function createQueueListing(
  { queue, plans }: Collections,
  { fromDatabase }: Pick<DatabaseClock, 'fromDatabase'>,
): QueueListing {
  return {
    async destinations(limit) {
      const found = await queue
        .aggregate<{ _id: string; rows: number; oldest: number; nextDue: number }>([
          {
            $group: {
              _id: '$destination',
              rows: { $sum: 1 },
              oldest: { $min: '$queuedAt' },
              nextDue: { $min: '$due' },
            },
          },
          { $sort: { oldest: 1, _id: 1 } },
          { $limit: limit },
        ])
        .toArray();
      return found.map(({ _id: destination, rows, oldest, nextDue }) => ({
        destination,
        rows,
        oldest: fromDatabase(oldest),
        nextDue: fromDatabase(nextDue),
      }));
    },

    async rows(destination, limit) {
      const found = await queue
        .find({ destination })
        .sort({ queuedAt: 1, message: 1, number: 1 })
        .limit(limit)
        .toArray();
      const messages = await plans
        .find({ _id: { $in: found.map(({ message }) => message) } })
        .project<Pick<PlanDocument, '_id' | 'sender' | 'size'>>({ sender: 1, size: 1 })
        .toArray();
      const known = new Map(messages.map((message) => [String(message._id), message]));
      return found.flatMap(({ message, recipient, queuedAt, attempts, due, reason }) => {
        const of = known.get(String(message));
        // It was settled between the two looks.
        if (!of) return [];
        const { sender = '', size } = of;
        const times = { queuedAt: fromDatabase(queuedAt), due: fromDatabase(due) };
        return [{ recipient, sender, size, attempts, reason, ...times }];
      });
    },
  };
}

/** The same for a command, beside whatever Teal is running on the database. */
export async function openWildduckQueueListing(
  options: ConnectOptions & { readonly clock: Clock },
): Promise<QueueListing & AsyncDisposable> {
  await using opening = new AsyncDisposableStack();
  const { mongo, collections } = opening.use(await wrap(() => connect(options)));
  const databaseClock = opening.use(createDatabaseClock(mongo, options.clock, options.onFault));
  await wrap(() => databaseClock.measure());
  const listing = createQueueListing(collections, databaseClock);
  const open = opening.move();
  return {
    destinations: (limit) => wrap(() => listing.destinations(limit)),
    rows: (destination, limit) => wrap(() => listing.rows(destination, limit)),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
