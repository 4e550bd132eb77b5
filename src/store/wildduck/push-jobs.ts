import type { AnyBulkWriteOperation, Collection } from 'mongodb';
import type { AccountId, PushJob, PushJobs } from '../contract.ts';
import type { DatabaseClock } from './database-clock.ts';
import { isDuplicate } from './duplicate-key.ts';
import type { NextFence } from './fence.ts';

/** A document of the collection `teal.push`, which has an index on `due`. Times are the database's. */
export interface PushDocument {
  /** The token: at most one job for one token. */
  readonly _id: string;
  readonly attempts: number;
  readonly since: number;
  /** When it is to be tried; of a claimed one, when its lease ends. */
  readonly due: number;
  /** Of the claim that has it (see fence.ts); 0 where nobody has. */
  readonly claim: number;
  /** Whether a message came since the claim. */
  readonly again: boolean;
}

export interface PushJobsParts {
  readonly jobs: Collection<PushDocument>;
  readonly tokens: {
    listMany(accounts: readonly AccountId[], now: number): Promise<readonly string[]>;
    forget(token: string): Promise<void>;
  };
  readonly databaseClock: Pick<DatabaseClock, 'toDatabase' | 'fromDatabase'>;
  readonly nextFence: NextFence;
}

export interface WildduckPushJobs extends PushJobs {
  /** A message came for these accounts: each of their tokens has a job now. Answers whether one of them is due. */
  pushTo(accounts: readonly AccountId[], now: number): Promise<boolean>;
  drop(tokens: readonly string[]): Promise<void>;
}

export function createPushJobs({ jobs, tokens, databaseClock, nextFence }: PushJobsParts): WildduckPushJobs {
  /** Two claims of one process would reach for the same jobs; those of other processes do no harm. */
  let lastClaim: Promise<unknown> = Promise.resolve();

  const claim = async (now: number, limit: number, leaseMs: number): Promise<readonly PushJob[]> => {
    const time = databaseClock.toDatabase(now);
    let mine = 0;
    let taken: readonly PushDocument[] = [];
    while (taken.length < limit) {
      const candidates = await jobs
        .find({ due: { $lte: time } }, { projection: { _id: 1 } })
        .sort({ due: 1 })
        .limit(limit - taken.length)
        .toArray();
      if (candidates.length === 0) break;
      // One number for all jobs of a claim.
      mine ||= await nextFence();
      // Each is taken as a whole or not at all: who comes second finds it no longer due.
      await jobs.updateMany({ _id: { $in: candidates.map(({ _id }) => _id) }, due: { $lte: time } }, [
        {
          $set: {
            claim: mine,
            due: time + leaseMs,
            attempts: { $cond: ['$again', 0, '$attempts'] },
            again: false,
          },
        },
      ]);
      taken = await jobs.find({ claim: mine }).toArray();
    }
    return taken
      .map((job, index) => ({
        token: job._id,
        attempts: job.attempts,
        since: databaseClock.fromDatabase(job.since),
        // The number behind the dot tells apart the jobs of one claim.
        claim: `${mine}.${index}`,
      }))
      .sort((one, other) => one.since - other.since);
  };

  const pushTokens = async (to: readonly string[], time: number): Promise<boolean> => {
    const writes = to.map((token) => arrival(token, time));
    try {
      const { upsertedCount } = await jobs.bulkWrite(writes, { ordered: false });
      if (upsertedCount > 0) return true;
    } catch (error) {
      // Another made the job of one of them at the same moment. Said twice it is the same message.
      if (isDuplicate(error)) return pushTokens(to, time);
      throw error;
    }
    // Also one whose claim has run out: whoever had it is dead.
    const due = { _id: { $in: [...to] }, due: { $lte: time } };
    return (await jobs.findOne(due, { projection: { _id: 1 } })) !== null;
  };

  return {
    async pushTo(accounts, now) {
      const to = await tokens.listMany(accounts, now);
      return to.length > 0 && pushTokens(to, databaseClock.toDatabase(now));
    },

    drop: async (some) => {
      if (some.length > 0) await jobs.deleteMany({ _id: { $in: [...some] } });
    },

    claim(now, limit, leaseMs) {
      const claimed = lastClaim.then(() => claim(now, limit, leaseMs));
      lastClaim = claimed.catch(() => {});
      return claimed;
    },

    async settle({ token, attempts, claim: given }, outcome) {
      const mine = { _id: token, claim: Number.parseInt(given, 10) };
      if (outcome.kind === 'gone') {
        const { deletedCount } = await jobs.deleteOne(mine);
        if (deletedCount === 0) return;
        await tokens.forget(token);
        // A message that came in between has made a job for a token that nobody has now.
        await jobs.deleteOne({ _id: token });
        return;
      }
      const retry = outcome.kind === 'retry';
      if (!retry) {
        const { deletedCount } = await jobs.deleteOne({ ...mine, again: false });
        if (deletedCount > 0) return;
      }
      const againAt = databaseClock.toDatabase(outcome.againAt);
      await jobs.updateOne(mine, [
        {
          $set: {
            attempts: retry ? { $cond: ['$again', 0, attempts + 1] } : 0,
            due: retry ? { $cond: ['$again', againAt, databaseClock.toDatabase(outcome.at)] } : againAt,
            claim: 0,
            again: false,
          },
        },
      ]);
    },

    async nextDue() {
      const [next] = await jobs
        .find({}, { projection: { due: 1 } })
        .sort({ due: 1 })
        .limit(1)
        .toArray();
      return next && databaseClock.fromDatabase(next.due);
    },
  };
}

/**
 * A job nobody has claimed covers the message as it is; one that waits for another try starts anew, at once; one that
 * waits out a burst (no failed tries) keeps its time; a claimed one is marked.
 */
function arrival(token: string, time: number): AnyBulkWriteOperation<PushDocument> {
  const isNew = { $eq: [{ $type: '$claim' }, 'missing'] };
  const waits = { $eq: ['$claim', 0] };
  const set = {
    since: time,
    again: { $not: [{ $or: [isNew, waits] }] },
    due: {
      $switch: {
        branches: [
          { case: isNew, then: time },
          { case: { $and: [waits, { $gt: ['$attempts', 0] }] }, then: { $min: ['$due', time] } },
        ],
        default: '$due',
      },
    },
    attempts: { $cond: [{ $or: [isNew, waits] }, 0, '$attempts'] },
    claim: { $ifNull: ['$claim', 0] },
  };
  return { updateOne: { filter: { _id: token }, update: [{ $set: set }], upsert: true } };
}
