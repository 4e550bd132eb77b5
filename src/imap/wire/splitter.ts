import { ByteQueue } from './byte-queue.ts';
import { GrowingBuffer } from './growing-buffer.ts';

/**
 * Cuts what a client sends into commands: lines, with the literals that belong to them (RFC 9051 2.2.1, 4.3). Pure:
 * bytes in by `push`, events out by `next`. Pull one event, deal with it, pull the next: what was not pulled yet can
 * still be taken back as bytes, which STARTTLS and COMPRESS need.
 */
export interface Splitter {
  /** Adds bytes. They are kept, not copied: the caller stops reading while `pending` is above its own bound. */
  push(chunk: Buffer): void;
  /** The next event, or undefined until there are more bytes. After an event with `close` there are no others. */
  next(): SplitterEvent | undefined;
  /**
   * The next line as it is, without its line end and without looking for literals: base64 of AUTHENTICATE, DONE of
   * IDLE. Call it in place of `next` between commands. Never yields a command or a continuation.
   */
  nextLine(): Extract<SplitterEvent, { kind: 'line' | 'refused' }> | undefined;
  /** New bounds, from the next line on: they grow after login. */
  setLimits(limits: SplitterLimits): void;
  /** Bytes pushed and not yet looked at. */
  readonly pending: number;
  /**
   * Takes back all bytes pushed and not yet looked at, and forgets any half command. STARTTLS throws them away (RFC
   * 9051 6.2.1: nothing said in the clear may be run inside TLS); COMPRESS inflates them (RFC 4978 3).
   */
  takePending(): Buffer;
}

export type SplitterEvent =
  /**
   * `pieces` is the command without its last CRLF: line text and literals by turns, text first and last, the `{n}` and
   * its CRLF taken away. So the length is odd, and literal i stands at 2i + 1.
   */
  | { readonly kind: 'command'; readonly pieces: readonly Buffer[] }
  /** The client waits: answer `+ …`, then go on. */
  | { readonly kind: 'continue'; readonly size: number }
  /** From `nextLine` alone. */
  | { readonly kind: 'line'; readonly line: Buffer }
  /**
   * A command that was dropped, its bytes passed over. Answer with the tag (`*` without one) and `reply`. `close`: the
   * peer sent more than will be passed over, end the session.
   */
  | {
      readonly kind: 'refused';
      readonly tag: string | undefined;
      readonly reply: string;
      readonly close: boolean;
    };

/** A literal that the client wants to send, or with `{n+}` already sends. */
export interface LiteralOffer {
  /** The command so far, as in the event: enough to see its name. */
  readonly pieces: readonly Buffer[];
  readonly size: number;
  /** Octets of the literals of the same command before this one. */
  readonly before: number;
  /** `{n}`: the client waits for our word. */
  readonly synchronizing: boolean;
}

/** `take`, or the refusal to be sent after the tag, such as `NO [TOOBIG] Message too large`. */
export type LiteralDecision = 'take' | { readonly refuse: string };

export interface SplitterLimits {
  /** Octets of line text in one command, all its lines together, line ends not counted. */
  readonly line: number;
  /** Octets passed over of one refused command before the peer is given up. */
  readonly drain: number;
}

/** RFC 7162 4 asks for at least 8192 octets. */
export const BEFORE_LOGIN: SplitterLimits = { line: 8 * 1024, drain: 64 * 1024 };
/** Long UID sets and header lists; drained up to a message that is somewhat too big. */
export const AFTER_LOGIN: SplitterLimits = { line: 64 * 1024, drain: 128 * 1024 * 1024 };
/** Literals in one command: SETMETADATA sends a few, a list of header names may. */
export const MAX_LITERALS = 100;

const EMPTY = Buffer.alloc(0);
/** `{4294967295+}` and a line end fit in; enough of a dropped line to see whether a literal follows. */
const TAIL = 24;

type State =
  | { readonly at: 'line' }
  | { readonly at: 'literal'; readonly size: number; readonly buffer: GrowingBuffer }
  /** Passing over the rest of a refused command: first `skip` octets of a literal, then the line. */
  | {
      readonly at: 'drop';
      readonly tag: string | undefined;
      readonly reply: string;
      passed: number;
      skip: number;
      /** The last bytes of the line. */
      tail: Buffer;
    }
  | { readonly at: 'closed' };

/**
 * `decide` is asked before a literal is waited for or let in; it judges by state, command and size. A literal is
 * gathered in memory that grows with what has really come, not with what was announced.
 */
export function createSplitter(options: {
  readonly limits: SplitterLimits;
  readonly decide: (offer: LiteralOffer) => LiteralDecision;
}): Splitter {
  const queue = new ByteQueue();
  let limits = options.limits;
  let state: State = { at: 'line' };

  // The command being put together: whole pieces, the line in progress, octets of text and of literals before it.
  let pieces: Buffer[] = [];
  let line = new GrowingBuffer();
  let text = 0;
  let literals = 0;

  function startAnew(): void {
    state = { at: 'line' };
    pieces = [];
    line = new GrowingBuffer();
    text = 0;
    literals = 0;
  }

  function refuse(tag: string | undefined, reply: string, close = false): Refused {
    startAnew();
    if (close) {
      state = { at: 'closed' };
      queue.clear();
    }
    return { kind: 'refused', tag, reply, close };
  }

  function drop(reply: string, skip: number): void {
    const tag = tagOf(pieces[0] ?? line.bytes());
    const tail = lastBytes(EMPTY, line.bytes());
    startAnew();
    state = { at: 'drop', tag, reply, passed: 0, skip, tail };
  }

  /** Reads on in the line; its text once it is whole. */
  function readLine(): Buffer | undefined {
    // Two more for the line end, which does not count.
    const { part, ended } = queue.takeLine(Math.max(1, limits.line + 2 - text - line.length));
    line.add(part);
    if (ended) return withoutLineEnd(line.take());
    if (text + line.length >= limits.line + 2) drop('BAD Command line too long', 0);
    return undefined;
  }

  /** A line of a command is whole: either the command is, or a literal follows. */
  function endLine(whole: Buffer): SplitterEvent | undefined {
    const marker = literalMarker(whole);
    if (!marker) {
      const event: SplitterEvent = { kind: 'command', pieces: [...pieces, whole] };
      startAnew();
      return event;
    }
    const { size, synchronizing } = marker;
    pieces.push(whole.subarray(0, whole.length - marker.length));
    text += whole.length;
    const decision =
      pieces.length > 2 * MAX_LITERALS
        ? { refuse: 'BAD Too many literals' }
        : options.decide({ pieces, size, before: literals, synchronizing });
    if (decision === 'take') {
      literals += size;
      state = { at: 'literal', size, buffer: new GrowingBuffer(size) };
      return synchronizing ? { kind: 'continue', size } : undefined;
    }
    if (synchronizing) return refuse(tagOf(pieces[0] ?? EMPTY), decision.refuse);
    drop(decision.refuse, size);
    return undefined;
  }

  function readLiteral(literal: State & { at: 'literal' }): void {
    literal.buffer.add(queue.take(literal.size - literal.buffer.length));
    if (literal.buffer.length < literal.size) return;
    pieces.push(literal.buffer.take());
    state = { at: 'line' };
  }

  function passOver(dropped: State & { at: 'drop' }, withLiterals: boolean): Refused | undefined {
    const { tag, reply } = dropped;
    if (dropped.passed + dropped.skip > limits.drain) return refuse(tag, reply, true);
    if (dropped.skip > 0) {
      const skipped = queue.take(dropped.skip).length;
      dropped.skip -= skipped;
      dropped.passed += skipped;
      return undefined;
    }
    const { part, ended } = queue.takeLine(limits.drain);
    dropped.passed += part.length;
    if (dropped.passed > limits.drain) return refuse(tag, reply, true);
    dropped.tail = lastBytes(dropped.tail, part);
    if (!ended) return undefined;
    const marker = withLiterals ? literalMarker(withoutLineEnd(dropped.tail)) : undefined;
    // After {n} the client waits for us and takes the refusal for the answer (RFC 9051 4.3).
    if (!marker || marker.synchronizing) return refuse(tag, reply);
    dropped.skip = marker.size;
    dropped.tail = EMPTY;
    return undefined;
  }

  return {
    push(chunk) {
      if (state.at !== 'closed') queue.push(chunk);
    },

    next() {
      for (;;) {
        // An empty literal is whole without any byte.
        if (state.at === 'literal' && (queue.length > 0 || state.size === 0)) readLiteral(state);
        else if (queue.length === 0) return undefined;
        else if (state.at === 'drop') {
          const refused = passOver(state, true);
          if (refused) return refused;
        } else {
          const whole = readLine();
          const event = whole && endLine(whole);
          if (event) return event;
        }
      }
    },

    nextLine() {
      while (queue.length > 0) {
        if (state.at === 'drop') {
          const refused = passOver(state, false);
          if (refused) return { ...refused, tag: undefined };
        } else {
          const whole = readLine();
          if (whole) return { kind: 'line', line: whole };
        }
      }
      return undefined;
    },

    setLimits(next) {
      limits = next;
    },

    get pending() {
      return queue.length;
    },

    takePending() {
      const rest = queue.takeAll();
      if (state.at !== 'closed') startAnew();
      return rest;
    },
  };
}

type Refused = Extract<SplitterEvent, { kind: 'refused' }>;

function withoutLineEnd(bytes: Buffer): Buffer {
  // A bare LF ends a line too: no harm here, and hand-typed sessions have it.
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

function lastBytes(before: Buffer, part: Buffer): Buffer {
  // Copied: a view would keep the whole chunk alive.
  return Buffer.concat([before, part.subarray(-TAIL)]).subarray(-TAIL);
}

/** RFC 9051 `literal = "{" number64 ["+"] "}"`, at the end of a line's text; `length` is the marker's own. */
function literalMarker(line: Buffer): { size: number; synchronizing: boolean; length: number } | undefined {
  if (line.at(-1) !== 0x7d) return undefined;
  const match = /\{([0-9]{1,19})(\+?)\}$/.exec(line.toString('latin1', Math.max(0, line.length - TAIL)));
  if (!match) return undefined;
  return { size: Number(match[1]), synchronizing: match[2] === '', length: match[0].length };
}

/** RFC 9051 `tag`: ASTRING-CHAR without `+`, so that a refusal can name it. */
function tagOf(text: Buffer): string | undefined {
  return /^([^\x00-\x20(){%*"\\\x7f-\xff+]{1,100}) /.exec(text.toString('latin1', 0, 101))?.[1];
}
