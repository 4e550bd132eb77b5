import type { UpdateResult } from 'mongodb';
import { sliceByRows } from '../batch-slices.ts';
import type { QueueBatch } from '../contract.ts';
import type { Collections } from './connect.ts';
import { idOf } from './queue-claim.ts';

/** Rows of one command: what a worker usually has under way is one. */
export const MAX_RENEWED_AT_ONCE = 2000;

/** `renew` of the contract; `until` is of the database's clock. */
export function createQueueRenewal({ queue }: Pick<Collections, 'queue'>) {
  const renew = async (batches: readonly QueueBatch[], until: number): Promise<readonly QueueBatch[]> => {
    const rows = batches.flatMap((batch) => batch.rows.flatMap(({ id }) => idOf(id) ?? []));
    const mine = { _id: { $in: rows }, fence: { $in: [...new Set(batches.map(({ fence }) => fence))] } };
    // The destinations stay as they are known: earlier than their earliest row, which whoever looks corrects.
    const { matchedCount } = (await queue.updateMany(mine, { $max: { due: until } })) as UpdateResult;
    if (matchedCount === batches.reduce((sum, batch) => sum + batch.rows.length, 0)) return [];
    // By row, for one may have been claimed anew by this process itself: then two of the batches name it.
    const found = await queue
      .find(mine, { projection: { fence: 1 } })
      .map(({ _id, fence }): [string, number] => [_id.toHexString(), fence])
      .toArray();
    const fences = new Map(found);
    return batches.filter((batch) => batch.rows.some(({ id }) => fences.get(id) !== batch.fence));
  };

  return async (batches: readonly QueueBatch[], until: number): Promise<readonly QueueBatch[]> => {
    const lost: QueueBatch[] = [];
    for (const slice of sliceByRows(batches, MAX_RENEWED_AT_ONCE)) lost.push(...(await renew(slice, until)));
    return lost;
  };
}
