import { sliceByRows } from '../batch-slices.ts';
import { MAX_EXCEPT, MAX_OUTGOING, MAX_SIGNATURE, StoreUnavailable } from '../contract.ts';
import type { ClaimWish, Outgoing, Queue, QueueBatch } from '../contract.ts';
import type { Access } from './access.ts';
import { openQueuedBody } from './bodies.ts';
import type { BodyFiles } from './body-files.ts';
import { nextQueueDue } from './reads/queue.ts';
import { MAX_CLAIMED_AT_ONCE } from './writes/queue.ts';

/** What a row counts as in a posted call, in bytes: two addresses, or a reason. */
const ROW_COST = 256;

export function createQueue(access: Access, files: BodyFiles): Queue {
  return {
    claim: async (now, wish) => {
      bounded(wish.except);
      bounded(wish.only ?? []);
      return claimInSlices(access, now, wish);
    },
    renew: (now, batches, leaseMs) => renewInSlices(access, batches, now + leaseMs),
    body: (message) => openQueuedBody(access, files, message),
    keepSignature: async (message, signature) => {
      if (signature.fields.length > MAX_SIGNATURE)
        throw new RangeError(
          `a signature has ${signature.fields.length} characters, ${MAX_SIGNATURE} at most`,
        );
      await access.write('keepSignature', { message, signature }, signature.fields.length);
    },
    settle: async (batch, outcomes) => {
      if (outcomes.length !== batch.rows.length)
        throw new RangeError(`${outcomes.length} outcomes were given for ${batch.rows.length} rows`);
      await access.write('settleRows', { batch, outcomes }, outcomes.length * ROW_COST);
    },
    nextDue: async (except) => {
      bounded(except);
      return access.local((database) => nextQueueDue(database, except));
    },
    destinations: (limit) => access.read('waitingDestinations', limit),
    rows: (destination, limit) => access.read('waitingRows', destination, limit),
  };
}

/** Much mail goes slice by slice, each a transaction of its own: deliveries wait for one of them, not for all. */
async function claimInSlices(access: Access, now: number, wish: ClaimWish): Promise<readonly QueueBatch[]> {
  const batches: QueueBatch[] = [];
  const taken = new Map<string, number>();
  for (let more = true; more && batches.length < wish.limit;) {
    const limit = wish.limit - batches.length;
    try {
      const slice = await access.write('claimRows', { ...wish, now, limit, taken });
      for (const batch of slice.batches) {
        batches.push(batch);
        taken.set(batch.destination, (taken.get(batch.destination) ?? 0) + 1);
      }
      more = slice.more;
    } catch (error) {
      // What earlier slices have taken is the caller's: without it nobody would send it before its lease is over.
      if (batches.length > 0 && error instanceof StoreUnavailable) return batches;
      throw error;
    }
  }
  return batches;
}

/** As above, for the same reason. */
async function renewInSlices(
  access: Access,
  batches: readonly QueueBatch[],
  until: number,
): Promise<readonly QueueBatch[]> {
  const lost: QueueBatch[] = [];
  for (const slice of sliceByRows(batches, MAX_CLAIMED_AT_ONCE)) {
    // What the writer needs of them, and no address of a recipient.
    const claimed = slice.map(({ message, destination, fence, rows }) => ({
      message,
      destination,
      fence,
      rows: rows.map(({ id }) => ({ id })),
    }));
    const rows = slice.reduce((sum, batch) => sum + batch.rows.length, 0);
    const indexes = await access.write('renewRows', { batches: claimed, until }, rows * ROW_COST);
    lost.push(...slice.filter((_, index) => indexes.includes(index)));
  }
  return lost;
}

/** What the recipients of a plan count as in a posted call, in bytes; throws where they are too many, or none. */
export function outgoingCost({ recipients }: Outgoing): number {
  if (recipients.length === 0 || recipients.length > MAX_OUTGOING)
    throw new RangeError(`a plan has ${recipients.length} recipients elsewhere, 1 to ${MAX_OUTGOING} may be`);
  return recipients.length * ROW_COST;
}

function bounded(named: readonly string[]): void {
  if (named.length > MAX_EXCEPT)
    throw new RangeError(`${named.length} destinations are named, ${MAX_EXCEPT} are the most`);
}
