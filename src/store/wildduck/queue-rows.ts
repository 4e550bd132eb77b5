import { ObjectId } from 'mongodb';
import { MAX_OUTGOING } from '../contract.ts';
import type { Outgoing } from '../contract.ts';
import type { Collections } from './connect.ts';
import type { DatabaseClock } from './database-clock.ts';
import type { QueueRowDocument } from './documents.ts';
import type { Files } from './files.ts';
import type { QueueDestinations } from './queue-destinations.ts';

/**
 * The rows of a message on their way into the queue, and the end of it. A message of the queue is its plan's document,
 * which stays when the plan is done. `run` names one try at writing its rows: they are to be had only when the plan says
 * that it is done by this run, so a try that was broken off, or is late, puts nothing into the queue.
 */
export interface QueueRows {
  /** Writes the rows; nobody gets them before `commit`. Answers with the run. */
  write(message: ObjectId, outgoing: Outgoing, now: number): Promise<ObjectId>;
  /** The plan is done, all of it; false where somebody else has it, or has done it. */
  commit(message: ObjectId, fence: number, run: ObjectId): Promise<boolean>;
  /** Removes what earlier tries of a plan that is done left behind: else it goes when it is come upon. */
  tidy(message: ObjectId, run: ObjectId): Promise<void>;
  /** Rows of these were removed: a message goes with its last one, and its file where no mailbox has it. */
  ended(messages: readonly ObjectId[]): Promise<void>;
  /** Removes messages without rows: a process died between the last row and its message. */
  sweep(): Promise<void>;
}

export interface QueueRowsParts {
  readonly collections: Collections;
  readonly destinations: QueueDestinations;
  readonly databaseClock: Pick<DatabaseClock, 'toDatabase'>;
  readonly files: Pick<Files, 'release'>;
}

/** Messages of one question in a sweep. */
const SWEEP_SLICE = 500;

export function createQueueRows(parts: QueueRowsParts): QueueRows {
  const { collections, destinations, databaseClock, files } = parts;
  const { plans, queue } = collections;

  const removeMessage = async (_id: ObjectId) => {
    const { value } = await plans.findOneAndDelete(
      { _id, run: { $exists: true } },
      { projection: { file: 1 } },
    );
    if (value?.file) await files.release([value.file]);
  };

  const ended: QueueRows['ended'] = async (messages) => {
    const left = await queue.distinct('message', { message: { $in: [...messages] } });
    const known = new Set(left.map(String));
    for (const message of messages) if (!known.has(String(message))) await removeMessage(message);
  };

  return {
    async write(message, { sender: _, recipients }, now) {
      const run = new ObjectId();
      const time = databaseClock.toDatabase(now);
      const rows = recipients.map(({ address, destination }, number): QueueRowDocument => ({
        _id: new ObjectId(),
        message,
        run,
        number,
        destination,
        recipient: address,
        queuedAt: time,
        due: time,
        attempts: 0,
        fence: 0,
        reason: '',
      }));
      await queue.insertMany(rows, { ordered: false });
      await destinations.due([...new Set(recipients.map(({ destination }) => destination))], time);
      return run;
    },

    async commit(_id, fence, run) {
      const { matchedCount } = await plans.updateOne(
        { _id, fence, at: { $exists: true } },
        { $set: { run }, $unset: { at: true, deliveries: true, recipients: true } },
      );
      return matchedCount > 0;
    },

    async tidy(message, run) {
      await queue.deleteMany({ message, run: { $ne: run } });
    },

    ended,

    async sweep() {
      for (let after = new ObjectId('0'.repeat(24)); ;) {
        // By the run, so that the index alone is read and no message.
        const slice = await plans
          .find({ run: { $gt: after } }, { projection: { _id: 1, run: 1 } })
          .sort({ run: 1 })
          .limit(SWEEP_SLICE)
          .toArray();
        await ended(slice.map(({ _id }) => _id));
        const last = slice.at(-1)?.run;
        if (!last) return;
        after = last;
      }
    },
  };
}

/** Throws where the recipients of a plan are too many, or none. */
export function checkRecipients({ recipients: { length } }: Outgoing): void {
  if (length === 0 || length > MAX_OUTGOING)
    throw new RangeError(`a plan has ${length} recipients elsewhere, 1 to ${MAX_OUTGOING} may be`);
}
