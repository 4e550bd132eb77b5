/** A small line needs one allocation; a literal starts here too, however big it was announced. */
const FIRST_ROOM = 256;

/**
 * Gathers bytes in one piece of memory that doubles: a peer that sends single bytes costs what it sent, one that
 * announces much and sends little costs what it sent.
 */
export class GrowingBuffer {
  #memory: Buffer = Buffer.alloc(0);
  #length = 0;
  readonly #most: number;

  /** `most`: never allocates more, so that what was announced rightly fits without a rest. */
  constructor(most = Infinity) {
    this.#most = most;
  }

  get length(): number {
    return this.#length;
  }

  /** The caller keeps the sum within `most`. */
  add(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#memory.length) {
      const room = Math.max(needed, Math.min(this.#most, Math.max(FIRST_ROOM, this.#memory.length * 2)));
      const memory = Buffer.allocUnsafeSlow(room);
      this.#memory.copy(memory, 0, 0, this.#length);
      this.#memory = memory;
    }
    bytes.copy(this.#memory, this.#length);
    this.#length = needed;
  }

  /** The bytes so far; the memory is shared until the next `take`. */
  bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  /** The bytes, which are then the caller's own; empty afterwards. */
  take(): Buffer {
    const bytes = this.bytes();
    this.#memory = Buffer.alloc(0);
    this.#length = 0;
    return bytes;
  }
}
