import type { ObjectId } from 'mongodb';
import type { Collections } from './connect.ts';

/** Where an account's INBOX is: it is neither removed nor renamed while the account is there, so it may be remembered. */
export interface Inboxes {
  of(user: ObjectId): Promise<ObjectId | undefined>;
  /** Asks for those not yet known in one command; answers how many of these accounts are there. */
  ofMany(users: readonly ObjectId[]): Promise<number>;
  /** The account is gone. */
  forget(user: ObjectId): void;
}

/** Accounts that are remembered, 200 bytes each. */
const MAX_KNOWN = 50_000;

export function createInboxes({ mailboxes }: Collections): Inboxes {
  const known = new Map<string, ObjectId>();
  const ofMany = async (users: readonly ObjectId[]) => {
    const asked = users.filter((user) => !known.has(user.toHexString()));
    if (asked.length > 0) {
      const found = await mailboxes
        .find({ user: { $in: asked }, path: 'INBOX' }, { projection: { user: 1 } })
        .toArray();
      for (const { _id, user } of found) known.set(user.toHexString(), _id);
    }
    const there = users.filter((user) => known.has(user.toHexString())).length;
    for (const oldest of known.keys()) {
      if (known.size <= MAX_KNOWN) break;
      known.delete(oldest);
    }
    return there;
  };
  return {
    ofMany,
    of: async (user) => {
      if (!known.has(user.toHexString())) await ofMany([user]);
      return known.get(user.toHexString());
    },
    forget: (user) => void known.delete(user.toHexString()),
  };
}
