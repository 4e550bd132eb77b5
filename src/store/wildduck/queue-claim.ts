import { ObjectId } from 'mongodb';
import type { UpdateResult } from 'mongodb';
import type { ClaimWish, QueueBatch, QueuedId } from '../contract.ts';
import type { Collections } from './connect.ts';
import type { DatabaseClock } from './database-clock.ts';
import type { PlanDocument, QueueDestinationDocument, QueueRowDocument } from './documents.ts';
import type { NextFence } from './fence.ts';
import type { QueueDestinations } from './queue-destinations.ts';
import type { QueueRows } from './queue-rows.ts';

export interface QueueClaimParts {
  readonly collections: Collections;
  readonly destinations: QueueDestinations;
  readonly rows: Pick<QueueRows, 'ended'>;
  readonly databaseClock: Pick<DatabaseClock, 'toDatabase' | 'fromDatabase'>;
  readonly nextFence: NextFence;
}

/** Destinations that are looked at together. */
const AT_ONCE = 16;
/** Looks in one claim: each has taken something, found something to clear away, or lost it to another process. */
const MAX_LOOKS = 100;

/** What the queue needs of a message to give its rows: not its bytes. */
export const messageFields = { now: 1, size: 1, headerSize: 1, sender: 1, run: 1, signature: 1 } as const;
type QueuedMessage = Pick<PlanDocument, '_id' | keyof typeof messageFields>;

interface Found {
  readonly known: QueueDestinationDocument;
  readonly rows: readonly QueueRowDocument[];
}

/** `claim` of the contract. */
export function createQueueClaim(parts: QueueClaimParts) {
  const { collections, destinations, rows: queueRows, databaseClock, nextFence } = parts;
  const { plans, queue } = collections;

  /** The rows of a destination that are due, those that are so the longest first, and all due ones of their messages. */
  const find = async (
    known: QueueDestinationDocument,
    time: number,
    perDestination: number,
    rowsPerBatch: number,
  ): Promise<Found> => {
    const due = { destination: known._id, due: { $lte: time } };
    const limit = perDestination * rowsPerBatch;
    const first = await queue.find(due).sort({ due: 1, message: 1, number: 1 }).limit(limit).toArray();
    if (first.length < limit) return { known, rows: first };
    // There are more: of the first messages perhaps, at another time.
    const messages = [...byMessage(first).values()].slice(0, perDestination).map(([row]) => row?.message);
    const all: QueueRowDocument[] = [];
    for (const message of messages) {
      if (!message || all.length >= limit) break;
      all.push(
        ...(await queue
          .find({ ...due, message })
          .sort({ number: 1 })
          .limit(limit)
          .toArray()),
      );
    }
    return { known, rows: all };
  };

  /** Of those found what is in the queue; what a try left that came to nothing is removed. */
  const sift = async (found: readonly Found[]): Promise<Map<string, QueuedMessage>> => {
    const all = found.flatMap(({ rows }) => rows);
    const asked = [...byMessage(all).values()].flatMap(([row]) => (row ? [row.message] : []));
    const messages = await plans
      .find({ _id: { $in: asked } })
      .project<QueuedMessage & Pick<PlanDocument, 'at'>>({ ...messageFields, at: 1 })
      .toArray();
    const known = new Map(messages.map((message) => [String(message._id), message]));
    const stale = all.filter(({ message, run }) => {
      const of = known.get(String(message));
      return !of || (of.run !== undefined && !of.run.equals(run));
    });
    if (stale.length > 0) {
      await queue.deleteMany({ _id: { $in: stale.map(({ _id }) => _id) } });
      await queueRows.ended(stale.map(({ message }) => message));
    }
    // Those whose plan is not yet done are nobody's.
    return new Map([...known].filter(([, { run }]) => run !== undefined));
  };

  const look = async (time: number, wish: ClaimWish, except: readonly string[], limit: number) => {
    const { perDestination, rowsPerBatch, leaseMs } = wish;
    const seen = await destinations.earliest(time, except, Math.min(limit, AT_ONCE), wish.only);
    const found = await Promise.all(seen.map((known) => find(known, time, perDestination, rowsPerBatch)));
    const messages = seen.length > 0 ? await sift(found) : new Map<string, QueuedMessage>();
    const firstDue = ({ rows: [row] }: Found) => row?.due ?? Infinity;
    const wanted: { message: QueuedMessage; rows: QueueRowDocument[] }[] = [];
    for (const { rows } of found.toSorted((one, other) => firstDue(one) - firstDue(other))) {
      let batches = 0;
      for (const [id, ofMessage] of byMessage(rows)) {
        const message = messages.get(id);
        if (!message) continue;
        const mine = ofMessage.filter(({ run }) => message.run?.equals(run));
        mine.sort((one, other) => one.number - other.number);
        for (let start = 0; start < mine.length; start += rowsPerBatch) {
          if (batches >= perDestination || wanted.length >= limit) break;
          wanted.push({ message, rows: mine.slice(start, start + rowsPerBatch) });
          batches += 1;
        }
      }
    }
    const batches = await take(wanted, time, leaseMs);
    // Where that fails it stays too early, and is corrected later: what was taken is the caller's.
    await Promise.allSettled(found.map(({ known }) => destinations.correct(known)));
    return { seen: seen.map(({ _id }) => _id), batches, lost: batches.length < wanted.length };
  };

  /** Each row is taken as a whole or not at all: who comes second finds it no longer due. */
  const take = async (
    wanted: readonly { message: QueuedMessage; rows: readonly QueueRowDocument[] }[],
    time: number,
    leaseMs: number,
  ): Promise<QueueBatch[]> => {
    const ids = wanted.flatMap(({ rows }) => rows.map(({ _id }) => _id));
    if (ids.length === 0) return [];
    const fence = await nextFence();
    const { modifiedCount } = (await queue.updateMany(
      { _id: { $in: ids }, due: { $lte: time } },
      { $set: { fence, due: time + leaseMs } },
    )) as UpdateResult;
    const taken =
      modifiedCount === ids.length
        ? ids
        : (await queue.find({ _id: { $in: ids }, fence }, { projection: { _id: 1 } }).toArray()).map(
            ({ _id }) => _id,
          );
    const mine = new Set(taken.map(String));
    return wanted.flatMap(({ message, rows }) => {
      const [first, ...more] = rows.filter(({ _id }) => mine.has(String(_id)));
      return first ? [batchOf(message, [first, ...more], fence)] : [];
    });
  };

  const batchOf = (
    { _id, sender = '', size, headerSize, signature }: QueuedMessage,
    rows: readonly [QueueRowDocument, ...QueueRowDocument[]],
    fence: number,
  ): QueueBatch => ({
    message: queuedId(_id),
    destination: rows[0].destination,
    sender,
    queuedAt: databaseClock.fromDatabase(rows[0].queuedAt),
    size,
    headerSize,
    signature,
    rows: rows.map(({ _id: row, recipient, attempts }) => ({ id: row.toHexString(), recipient, attempts })),
    fence,
  });

  return async (now: number, wish: ClaimWish): Promise<readonly QueueBatch[]> => {
    const time = databaseClock.toDatabase(now);
    const batches: QueueBatch[] = [];
    const passed = new Set(wish.except);
    for (let looks = 0; batches.length < wish.limit && looks < MAX_LOOKS; looks += 1) {
      const looked = look(time, wish, [...passed], wish.limit - batches.length);
      const {
        seen,
        batches: some,
        lost,
      } = await looked.catch((error: unknown) => {
        // What was taken is the caller's: without it nobody would send it before its lease is over.
        if (batches.length === 0) throw error;
        return { seen: [], batches: [], lost: false };
      });
      if (seen.length === 0) break;
      batches.push(...some);
      // What another took is looked at once more: it may have taken only a part.
      if (!lost) for (const destination of seen) passed.add(destination);
    }
    return batches;
  };
}

export const queuedId = (message: ObjectId) => message.toHexString() as QueuedId;

/** Of a message or a row; undefined for an id that is none of ours. */
export function idOf(id: string): ObjectId | undefined {
  return /^[0-9a-f]{24}$/.test(id) ? ObjectId.createFromHexString(id) : undefined;
}

/** In the order of the first of each. */
function byMessage(rows: readonly QueueRowDocument[]): Map<string, QueueRowDocument[]> {
  const groups = new Map<string, QueueRowDocument[]>();
  for (const row of rows) {
    const group = groups.get(String(row.message));
    if (group) group.push(row);
    else groups.set(String(row.message), [row]);
  }
  return groups;
}
