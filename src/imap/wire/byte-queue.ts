const LF = 0x0a;
const EMPTY = Buffer.alloc(0);
/** Chunks that were used up are let go once there are this many: each one only moves the rest by one place. */
const COMPACT = 64;

/** Bytes that came and were not looked at yet, as they came: nothing is copied before it is taken. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  /** The first chunk that is not used up, and the place in it. */
  #head = 0;
  #offset = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Up to `most` bytes, as far as one chunk goes. */
  take(most: number): Buffer {
    const chunk = this.#chunks[this.#head];
    if (!chunk) return EMPTY;
    const part = chunk.subarray(this.#offset, this.#offset + most);
    this.#offset += part.length;
    this.#length -= part.length;
    if (this.#offset === chunk.length) this.#dropHead();
    return part;
  }

  /** Up to `most` bytes (at least 1) of one chunk, but not past a line feed; `ended`: the last one is a line feed. */
  takeLine(most: number): { readonly part: Buffer; readonly ended: boolean } {
    const chunk = this.#chunks[this.#head];
    if (!chunk) return { part: EMPTY, ended: false };
    // The search must not look past `most`: a long chunk would be searched to its end for every short take.
    const window = chunk.subarray(this.#offset, this.#offset + most);
    const at = window.indexOf(LF);
    return { part: this.take(at < 0 ? window.length : at + 1), ended: at >= 0 };
  }

  /** Everything, as one buffer. */
  takeAll(): Buffer {
    const rest = Buffer.concat(this.#chunks.slice(this.#head)).subarray(this.#offset);
    this.clear();
    return rest;
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
    this.#offset = 0;
    this.#length = 0;
  }

  #dropHead(): void {
    this.#chunks[this.#head] = EMPTY;
    this.#head += 1;
    this.#offset = 0;
    if (this.#head < COMPACT || this.#head * 2 < this.#chunks.length) return;
    this.#chunks = this.#chunks.slice(this.#head);
    this.#head = 0;
  }
}
