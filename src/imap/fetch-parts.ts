import type { Message } from '../store/contract.ts';
import { TaskError } from '../workers/task.ts';
import type { PreparedItem } from './fetch-items.ts';
import { prepareItem } from './fetch-items.ts';
import { parseParts } from './message-structure.ts';
import { Busy } from './reads.ts';
import type { FetchItem } from './wire/command.ts';

/** A message of which items that hang on its parts are asked. */
export interface PartsInput {
  readonly message: Buffer;
  readonly row: Message;
  readonly items: readonly FetchItem[];
}

/** The tasks that `pool` runs for this folder, for the module of its workers. */
export const fetchTasks = { partsOf };

/** A pool whose module serves `fetchTasks`. */
export interface FetchPool {
  run(task: 'partsOf', input: PartsInput): Promise<readonly PreparedItem[]>;
}

/** Bytes of message whose parts are looked for at once: lines made for it take a millisecond. */
const INLINE = 64 * 1024;

/** Makes ready what the items ask; of a big message in `pool`. Rejects with Busy where that has too much to do. */
export async function prepareParts(input: PartsInput, pool: FetchPool): Promise<readonly PreparedItem[]> {
  if (input.message.length <= INLINE) return partsOf(input);
  try {
    return (await pool.run('partsOf', input)).map(withBuffer);
  } catch (error) {
    if (error instanceof TaskError && error.reason !== 'failed') throw new Busy(error.message);
    throw error;
  }
}

function partsOf({ message, row, items }: PartsInput): readonly PreparedItem[] {
  const parts = parseParts(message);
  const header = message.subarray(0, row.headerSize);
  const known = { header, fields: parts.header, message, parts };
  return items.map((item) => prepareItem(item, row, known));
}

/** A Buffer comes back from a worker as the Uint8Array below it. */
function withBuffer(item: PreparedItem): PreparedItem {
  if (item.kind === 'stream' || typeof item.piece === 'string') return item;
  const { buffer, byteOffset, byteLength } = item.piece;
  return { kind: 'piece', piece: Buffer.from(buffer, byteOffset, byteLength) };
}
