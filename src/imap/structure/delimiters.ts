/** Longer boundaries are not looked for. RFC 2046 5.1.1 allows 70 octets; some mailers write more. */
export const MAX_BOUNDARY = 200;

/**
 * Lines that begin like a delimiter and are looked at closely, in one message; behind them none is found any more. A
 * message made of nothing else would hold the main loop for seconds; an honest one has a few for each part.
 */
export const MAX_CANDIDATES = 100_000;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const HYPHEN = 0x2d;

/** A line that ends a part: `--boundary`, or `--boundary--` with `closing`. */
export interface Delimiter {
  readonly lineStart: number;
  /** Behind the line's end: the next part, or the epilogue, begins here. */
  readonly next: number;
  readonly boundary: string;
  readonly closing: boolean;
}

/**
 * Finds the delimiter lines of all multiparts that are open at a time, in one pass over the message: the caller goes
 * forward only, so nested multiparts do not cost a pass each.
 */
export class Delimiters {
  readonly #message: Buffer;
  /** Open multiparts by boundary: two may have the same. */
  readonly #open = new Map<string, number>();
  /** First octets of open boundaries: most lines that begin with `--` are ruled out by this. */
  readonly #first = new Uint16Array(256);
  #candidates = 0;

  constructor(message: Buffer) {
    this.#message = message;
  }

  open(boundary: string): void {
    this.#open.set(boundary, (this.#open.get(boundary) ?? 0) + 1);
    this.#count(boundary, 1);
  }

  close(boundary: string): void {
    const count = this.#open.get(boundary) ?? 0;
    if (count === 0) return;
    if (count === 1) this.#open.delete(boundary);
    else this.#open.set(boundary, count - 1);
    this.#count(boundary, -1);
  }

  /** The first one at or behind `from`, which is the start of a line. */
  next(from: number): Delimiter | undefined {
    if (this.#open.size === 0 || this.#candidates > MAX_CANDIDATES) return undefined;
    const message = this.#message;
    // From the line feed before on, so that the line at `from` is found too.
    let at = from === 0 ? 0 : message.indexOf('\n--', from - 1) + 1;
    if (from > 0 && at === 0) return undefined;
    for (;;) {
      const delimiter = this.at(at);
      if (delimiter) return delimiter;
      if (this.#candidates > MAX_CANDIDATES) return undefined;
      const feed = message.indexOf('\n--', at);
      if (feed < 0) return undefined;
      at = feed + 1;
    }
  }

  /** The delimiter in the line that starts here. */
  at(lineStart: number): Delimiter | undefined {
    const message = this.#message;
    if (message[lineStart] !== HYPHEN || message[lineStart + 1] !== HYPHEN) return undefined;
    const first = message[lineStart + 2];
    if (first === undefined || this.#first[first] === 0 || this.#candidates > MAX_CANDIDATES)
      return undefined;
    this.#candidates += 1;
    // Two hyphens at either side, blanks behind (RFC 2046 transport-padding), CRLF.
    const window = message.subarray(lineStart, lineStart + MAX_BOUNDARY + 64);
    const feed = window.indexOf(LF);
    if (feed < 0 && lineStart + window.length < message.length) return undefined;
    let end = feed < 0 ? window.length : feed > 0 && window[feed - 1] === CR ? feed - 1 : feed;
    while (window[end - 1] === SPACE || window[end - 1] === TAB) end -= 1;
    const text = window.toString('latin1', 2, end);
    const next = feed < 0 ? message.length : lineStart + feed + 1;
    if (this.#open.has(text)) return { lineStart, next, boundary: text, closing: false };
    const boundary = text.endsWith('--') ? text.slice(0, -2) : undefined;
    if (boundary === undefined || !this.#open.has(boundary)) return undefined;
    return { lineStart, next, boundary, closing: true };
  }

  #count(boundary: string, change: number): void {
    const first = boundary.charCodeAt(0);
    this.#first[first] = (this.#first[first] ?? 0) + change;
  }
}
