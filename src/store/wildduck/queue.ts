import type { AnyBulkWriteOperation, ObjectId } from 'mongodb';
import { second } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { MAX_EXCEPT, MAX_REASON, MAX_SIGNATURE } from '../contract.ts';
import type { Queue } from '../contract.ts';
import type { Collections } from './connect.ts';
import { contentOfPlan, openContent } from './content.ts';
import type { DatabaseClock } from './database-clock.ts';
import type { QueueRowDocument } from './documents.ts';
import type { NextFence } from './fence.ts';
import type { Files } from './files.ts';
import { createQueueClaim, idOf } from './queue-claim.ts';
import type { QueueDestinations } from './queue-destinations.ts';
import { createQueueListing } from './queue-listing.ts';
import { createQueueRenewal } from './queue-renewal.ts';
import type { QueueRows } from './queue-rows.ts';

export interface QueueParts {
  readonly collections: Collections;
  readonly clock: Clock;
  readonly databaseClock: Pick<DatabaseClock, 'toDatabase' | 'fromDatabase'>;
  readonly files: Files;
  readonly destinations: QueueDestinations;
  readonly rows: QueueRows;
  readonly nextFence: NextFence;
}

/** When to look again at a destination whose first row is of a plan that somebody is about to finish. */
const SOON = second;
/** Destinations that are corrected together where the first one was not due when it seemed to be. */
const LOOKED_AT_ONCE = 32;

/** Mail on its way to other relays, in collections of Teal's own: any process takes what is due. */
export function createQueue(parts: QueueParts): Queue {
  const { collections, clock, databaseClock, files, destinations, rows } = parts;
  const { plans, queue } = collections;
  const claim = createQueueClaim(parts);
  const renew = createQueueRenewal(collections);
  /** Two claims of one process would reach for the same rows; those of other processes do no harm. */
  let lastClaim: Promise<unknown> = Promise.resolve();

  /** A row of a plan that is not yet done is nobody's, and whoever asked again at once would do so for long. */
  const whenReady = async ({ due, message }: Pick<QueueRowDocument, 'due' | 'message'>) => {
    const time = databaseClock.fromDatabase(due);
    const plan = await plans.findOne({ _id: message }, { projection: { run: 1 } });
    return plan && plan.run === undefined ? Math.max(time, clock.now() + SOON) : time;
  };

  return {
    async claim(now, wish) {
      checkNamed(wish.except);
      checkNamed(wish.only ?? []);
      const claimed = lastClaim.then(() => claim(now, wish));
      lastClaim = claimed.catch(() => {});
      return claimed;
    },

    renew: (now, batches, leaseMs) => renew(batches, databaseClock.toDatabase(now) + leaseMs),

    async body(message) {
      const _id = idOf(message);
      const found = _id && (await plans.findOne({ _id, run: { $exists: true } }));
      return found ? openContent({ files }, contentOfPlan(found)) : undefined;
    },

    async keepSignature(message, { keys, fields }) {
      if (fields.length > MAX_SIGNATURE)
        throw new RangeError(`a signature has ${fields.length} characters, ${MAX_SIGNATURE} at most`);
      const _id = idOf(message);
      if (_id)
        await plans.updateOne({ _id, run: { $exists: true } }, { $set: { signature: { keys, fields } } });
    },

    async settle(batch, outcomes) {
      if (outcomes.length !== batch.rows.length)
        throw new RangeError(`${outcomes.length} outcomes were given for ${batch.rows.length} rows`);
      const message = idOf(batch.message);
      if (!message) return;
      const done: ObjectId[] = [];
      const retries: AnyBulkWriteOperation<QueueRowDocument>[] = [];
      let earliest = Infinity;
      for (const [index, { id, attempts }] of batch.rows.entries()) {
        const outcome = outcomes[index];
        const _id = idOf(id);
        if (!outcome || !_id) continue;
        if (outcome.kind === 'done') {
          done.push(_id);
          continue;
        }
        const due = databaseClock.toDatabase(Math.round(outcome.at));
        earliest = Math.min(earliest, due);
        const $set = { due, attempts: attempts + 1, reason: outcome.reason.slice(0, MAX_REASON), fence: 0 };
        retries.push({ updateOne: { filter: { _id, message, fence: batch.fence }, update: { $set } } });
      }
      // First what was brought away: who is left out by a crash between the two waits for the end of the lease, and
      // nobody gets the message twice.
      if (done.length > 0) {
        const { deletedCount } = await queue.deleteMany({ _id: { $in: done }, message, fence: batch.fence });
        if (deletedCount > 0) await rows.ended([message]);
      }
      if (retries.length > 0) {
        await queue.bulkWrite(retries, { ordered: false });
        await destinations.due([batch.destination], earliest);
      }
    },

    async nextDue(except) {
      checkNamed(except);
      for (let looked = 1; ; looked = LOOKED_AT_ONCE) {
        const some = await destinations.earliest(undefined, except, looked);
        const firstRows = await Promise.all(some.map((each) => destinations.correct(each)));
        const [row] = firstRows
          .filter((each) => each !== undefined)
          .sort((one, other) => one.due - other.due);
        const isAll = some.length < looked;
        // The others are due when the last of these seemed to be, or later.
        if (row && (isAll || row.due <= (some.at(-1)?.due ?? 0))) return whenReady(row);
        if (isAll) return undefined;
      }
    },

    ...createQueueListing(collections, databaseClock),
  };
}

function checkNamed(named: readonly string[]): void {
  if (named.length > MAX_EXCEPT)
    throw new RangeError(`${named.length} destinations are named, ${MAX_EXCEPT} are the most`);
}
