import type { ObjectId } from 'mongodb';
import type { Collections } from './connect.ts';

/** Takes room for these bytes if the account then has no more than `limit`; false where it has not, or is gone. */
export async function reserve(
  { users }: Collections,
  user: ObjectId,
  bytes: number,
  limit: number,
): Promise<boolean> {
  const { matchedCount } = await users.updateOne(
    { _id: user, activated: true, storageUsed: { $lte: limit - bytes } },
    { $inc: { storageUsed: bytes } },
  );
  return matchedCount > 0;
}

/** Gives room back. */
export async function release({ users }: Collections, user: ObjectId, bytes: number): Promise<void> {
  if (bytes > 0) await users.updateOne({ _id: user }, { $inc: { storageUsed: -bytes } });
}

/** Bytes used; undefined where the account is gone. */
export async function usedBy({ users }: Collections, user: ObjectId): Promise<number | undefined> {
  const found = await users.findOne({ _id: user, activated: true }, { projection: { storageUsed: 1 } });
  return found ? found.storageUsed : undefined;
}

/** Tries at an account that is written to at the same time; after that the next recount sets it right. */
const MAX_TRIES = 3;

/** Counts the account's messages anew: after a crash the sum may not be theirs. */
export async function recount(collections: Collections, user: ObjectId): Promise<void> {
  const { users, messages } = collections;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const before = await usedBy(collections, user);
    if (before === undefined) return;
    const [sum] = await messages
      .aggregate<{ bytes: number }>([
        { $match: { user } },
        { $group: { _id: null, bytes: { $sum: '$size' } } },
      ])
      .toArray();
    const storageUsed = Number(sum?.bytes ?? 0);
    const { matchedCount } = await users.updateOne(
      { _id: user, storageUsed: before },
      { $set: { storageUsed } },
    );
    if (matchedCount > 0) return;
  }
}
