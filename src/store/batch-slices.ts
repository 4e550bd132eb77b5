import type { QueueBatch } from './contract.ts';

/** The batches in their order, in slices of `rows` rows at least each, but for the last: none has many more. */
export function* sliceByRows(batches: readonly QueueBatch[], rows: number): Generator<readonly QueueBatch[]> {
  let slice: QueueBatch[] = [];
  let held = 0;
  for (const batch of batches) {
    slice.push(batch);
    held += batch.rows.length;
    if (held < rows) continue;
    yield slice;
    slice = [];
    held = 0;
  }
  if (slice.length > 0) yield slice;
}
