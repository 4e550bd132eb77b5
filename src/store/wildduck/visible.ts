import type { ObjectId } from 'mongodb';
import type { Collections } from './connect.ts';
import type { MailboxDocument } from './documents.ts';

/** UIDNEXT of mailboxes: below it every message is complete, at or above it none may be shown. */
export interface Visible {
  /** Whether messages up to this UID may be shown; asks the database only where what is known does not say so. */
  covers(mailbox: ObjectId, uid: number): Promise<boolean>;
  /** UIDNEXT now; undefined where there is no such mailbox. */
  below(mailbox: ObjectId): Promise<number | undefined>;
  /** It never goes down, so what was once seen may be remembered. */
  saw(mailbox: Pick<MailboxDocument, '_id' | 'uidNext'>): void;
}

/** Mailboxes that are remembered, 100 bytes each. */
const MAX_KNOWN = 50_000;

export function createVisible({ mailboxes }: Collections): Visible {
  const known = new Map<string, number>();
  const saw: Visible['saw'] = ({ _id, uidNext }) => {
    const key = _id.toHexString();
    if ((known.get(key) ?? 0) >= uidNext) return;
    known.delete(key);
    known.set(key, uidNext);
    for (const oldest of known.keys()) {
      if (known.size <= MAX_KNOWN) break;
      known.delete(oldest);
    }
  };
  const below: Visible['below'] = async (_id) => {
    const found = await mailboxes.findOne({ _id }, { projection: { uidNext: 1 } });
    if (found) saw(found);
    return found?.uidNext;
  };
  return {
    saw,
    below,
    covers: async (mailbox, uid) =>
      uid < (known.get(mailbox.toHexString()) ?? 0) || uid < ((await below(mailbox)) ?? 0),
  };
}
