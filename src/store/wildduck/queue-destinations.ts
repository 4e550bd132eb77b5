import { ObjectId } from 'mongodb';
import type { Collections } from './connect.ts';
import type { QueueDestinationDocument, QueueRowDocument } from './documents.ts';
import { isDuplicate } from './duplicate-key.ts';

/**
 * Which destinations have something due, so that a claim steps over a destination and not over its rows. What is known of
 * one is never later than its earliest row, but may be earlier: whoever finds it so says `correct`.
 */
export interface QueueDestinations {
  /** Rows of these were written, or put off to this time (the database's). */
  due(destinations: readonly string[], at: number): Promise<void>;
  /**
   * Those that seem to be due at `until` or before (undefined: at any time), the one that is so the longest first; of
   * `only` alone where it is there.
   */
  earliest(
    until: number | undefined,
    except: readonly string[],
    limit: number,
    only?: readonly string[],
  ): Promise<readonly QueueDestinationDocument[]>;
  /** Looks which row is due first, and keeps when, unless it was changed meanwhile; undefined: there is none. */
  correct(known: QueueDestinationDocument): Promise<Pick<QueueRowDocument, 'due' | 'message'> | undefined>;
}

/** Two processes may make the same one at once; more than a few times it is something else. */
const MAX_TRIES = 5;

export function createQueueDestinations({ queue, queueDestinations }: Collections): QueueDestinations {
  const due = async (destinations: readonly string[], at: number, tries = 1): Promise<void> => {
    // In one order for all, so that no two writes ever wait for each other (DocumentDB locks as it goes).
    const writes = destinations.toSorted().map((destination) => ({
      updateOne: {
        filter: { _id: destination },
        // A version that never comes back: one that was removed and made anew is another.
        update: { $min: { due: at }, $set: { version: new ObjectId() } },
        upsert: true,
      },
    }));
    try {
      if (writes.length > 0) await queueDestinations.bulkWrite(writes, { ordered: false });
    } catch (error) {
      if (!isDuplicate(error) || tries >= MAX_TRIES) throw error;
      await due(destinations, at, tries + 1);
    }
  };

  return {
    due,

    earliest: (until, except, limit, only) =>
      queueDestinations
        .find({
          ...(until === undefined ? {} : { due: { $lte: until } }),
          ...(except.length === 0 && only === undefined
            ? {}
            : { _id: { $nin: [...except], ...(only === undefined ? {} : { $in: [...only] }) } }),
        })
        .sort({ due: 1, _id: 1 })
        .limit(limit)
        .toArray(),

    async correct({ _id, version, due: known }) {
      const [first] = await queue
        .find({ destination: _id }, { projection: { due: 1, message: 1 } })
        .sort({ due: 1 })
        .limit(1)
        .toArray();
      // Rows that came after we looked have changed the version.
      if (!first) await queueDestinations.deleteOne({ _id, version });
      else if (first.due !== known)
        await queueDestinations.updateOne({ _id, version }, { $set: { due: first.due } });
      return first;
    },
  };
}
