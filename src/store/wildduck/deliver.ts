import type { ObjectId } from 'mongodb';
import { QUOTA_TRIM_ABOVE } from '../contract.ts';
import type { Core } from './core.ts';
import type { Held } from './exclusive.ts';
import { makeRoom, place } from './place.ts';
import type { Arrival, Placed } from './place.ts';
import { release, reserve, usedBy } from './quota.ts';

export type Delivered =
  (Placed & { readonly kind: 'delivered' }) | { readonly kind: 'over-quota' | 'no-account' };
/** Brings a message into an INBOX. Those that come at the same time go in together. `again`: perhaps it is there. */
export type Deliver = (inbox: ObjectId, arrival: Arrival, again?: boolean) => Promise<Delivered>;

interface Waiting {
  readonly arrival: Arrival;
  readonly again: boolean;
  resolve(delivered: Delivered): void;
  reject(reason: unknown): void;
}

/** Messages that go in together: their bytes are in one command, at most 100 × 384 KB, below the 48 MB of one. */
const BATCH = 100;

export function createDeliver(core: Core): Deliver {
  const { collections, exclusive, quota } = core;
  const waiting = new Map<string, Waiting[]>();

  const deliverNext = async (inbox: ObjectId): Promise<void> => {
    const all = waiting.get(inbox.toHexString()) ?? [];
    const batch = all.splice(0, BATCH);
    if (all.length === 0) waiting.delete(inbox.toHexString());
    if (batch.length === 0) return;
    try {
      const outcomes = await deliverSome(inbox, batch);
      for (const [index, each] of batch.entries()) each.resolve(outcomes[index] ?? { kind: 'no-account' });
    } catch (error) {
      for (const each of batch) each.reject(error);
    }
  };

  const deliverSome = async (inbox: ObjectId, batch: readonly Waiting[]): Promise<Delivered[]> => {
    const sizeOf = ({ arrival }: Waiting) => arrival.prepared.content.size;
    const again = batch.some((each) => each.again);
    const outcomes: Delivered[] = [];
    const allAtOnce = async (held: Held): Promise<boolean> => {
      const bytes = batch.reduce((sum, each) => sum + sizeOf(each), 0);
      if (!(await reserve(collections, held.mailbox.user, bytes, quota * QUOTA_TRIM_ABOVE))) return false;
      const placed = await place(
        core,
        held,
        batch.map(({ arrival }) => arrival),
      );
      outcomes.push(...placed.map((each) => ({ kind: 'delivered' as const, ...each })));
      return true;
    };
    const together = await exclusive.hold(
      inbox,
      (held) => {
        outcomes.length = 0;
        return allAtOnce(held);
      },
      again,
    );
    if (together) return outcomes;
    if (together === undefined) return batch.map(() => ({ kind: 'no-account' }));
    const one: Delivered[] = [];
    for (const each of batch) one.push(await deliverOne(inbox, each));
    return one;
  };

  const deliverOne = async (inbox: ObjectId, { arrival, again }: Waiting): Promise<Delivered> => {
    const { size } = arrival.prepared.content;
    const outcome = await exclusive.hold(
      inbox,
      async (held): Promise<Delivered> => {
        if (!(await makeRoom(core, held, size, arrival.now))) {
          const gone = (await usedBy(collections, held.mailbox.user)) === undefined;
          return { kind: gone ? 'no-account' : 'over-quota' };
        }
        const [placed] = await place(core, held, [arrival]);
        return placed ? { kind: 'delivered', ...placed } : { kind: 'no-account' };
      },
      again,
    );
    return outcome ?? { kind: 'no-account' };
  };

  return (inbox, arrival, again = false) =>
    new Promise((resolve, reject) => {
      const key = inbox.toHexString();
      const all = waiting.get(key) ?? [];
      all.push({ arrival, again, resolve, reject });
      waiting.set(key, all);
      void exclusive.queue(inbox, () => deliverNext(inbox));
    });
}

/** Brings a message into any mailbox, for APPEND: undefined where the mailbox is gone. */
export async function append(
  core: Core,
  mailbox: ObjectId,
  arrival: Arrival,
): Promise<(Placed & { uidValidity: number }) | 'over-quota' | undefined> {
  const { collections, exclusive, quota } = core;
  const { size } = arrival.prepared.content;
  let owner: ObjectId | undefined;
  try {
    return await exclusive.run(mailbox, async (held) => {
      const { user, uidValidity } = held.mailbox;
      if (!owner) {
        if (!(await reserve(collections, user, size, quota))) return 'over-quota' as const;
        owner = user;
      }
      const [placed] = await place(core, held, [arrival]);
      if (!placed) throw new Error('a message that was placed is nowhere');
      return { ...placed, uidValidity };
    });
  } catch (error) {
    if (owner) await release(collections, owner, size).catch(() => {});
    throw error;
  }
}
