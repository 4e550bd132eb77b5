import { refuse } from '../errors.ts';
import type { Refusal } from '../errors.ts';
import type { ByteBudget } from '../limits/byte-budget.ts';
import { createDataDecoder } from '../message/data-decoder.ts';

export interface IncomingMessageOptions {
  /** Largest message in bytes, dots unstuffed (max_message_size). */
  readonly maxSize: number;
  readonly budget: ByteBudget;
}

/** A message while it comes in. What is wrong with it is kept and the rest is read and dropped, up to its end. */
export interface IncomingMessage {
  /** Bytes of `chunk` used when the message ends within it, -1 when more must come. */
  push(chunk: Buffer): number;
  /** Why it is refused already, whatever follows. */
  readonly problem: Refusal | undefined;
  /** Once the end is there: why it is refused, or its bytes, which are good until `release`. */
  outcome(): Refusal | Buffer;
  /** Gives memory and budget back; twice is harmless. */
  release(): void;
}

/** Room for most chat messages without growing. */
const FIRST_CAPACITY = 16 * 1024;

/** The message grows in one buffer, by half each time, so that many tiny packets cost no more memory than one big one. */
export function receiveMessage({ maxSize, budget }: IncomingMessageOptions): IncomingMessage {
  let buffer = Buffer.alloc(0);
  let length = 0;
  let problem: Refusal | undefined;
  let reservations: (() => void)[] = [];

  function release(): void {
    for (const giveBack of reservations) giveBack();
    reservations = [];
    buffer = Buffer.alloc(0);
  }

  function fail(refusal: Refusal): void {
    problem ??= refusal;
    release();
  }

  /** Makes room for `size` bytes; false where the budget has none left. */
  function grow(size: number): boolean {
    const capacity = Math.max(
      size,
      Math.min(maxSize, Math.max(FIRST_CAPACITY, Math.ceil(buffer.length * 1.5))),
    );
    const reservation = budget.reserve(capacity - buffer.length);
    if (reservation === undefined) return false;
    reservations.push(reservation);
    const larger = Buffer.allocUnsafeSlow(capacity);
    buffer.copy(larger, 0, 0, length);
    buffer = larger;
    return true;
  }

  function append(bytes: Buffer): void {
    if (problem !== undefined) return;
    const size = length + bytes.length;
    if (size > maxSize) return fail(refuse('message_too_big', `more than ${maxSize} bytes`));
    if (size > buffer.length && !grow(size))
      return fail(refuse('busy', 'no message bytes left in the budget'));
    bytes.copy(buffer, length);
    length = size;
  }

  const decoder = createDataDecoder(append);

  return {
    get problem() {
      return problem;
    },
    push(chunk) {
      const used = decoder.push(chunk);
      if (decoder.nul) fail(refuse('nul_byte', 'NUL in DATA'));
      if (decoder.strayLineEnd) fail(refuse('line_endings', 'CR or LF alone in DATA'));
      return used;
    },
    outcome() {
      if (problem !== undefined) return problem;
      if (length === 0) return refuse('message_empty', 'DATA held nothing');
      return buffer.subarray(0, length);
    },
    release,
  };
}
