/**
 * The text of DATA for a message (RFC 5321 4.5.2): each line that begins with a dot gets another one before it, and the
 * last line ends in CRLF. The dot that ends it is not in it. Comes in blocks made one at a time, of a message without
 * such lines without a copy: a message of nothing but dots must not become millions of pieces.
 */
export function* stuffDots(message: Buffer): Generator<Buffer, void, undefined> {
  for (let from = 0; from < message.length; from += BLOCK) {
    const to = Math.min(from + BLOCK, message.length);
    const dots = dotsIn(message, from, to);
    yield dots === 0 ? message.subarray(from, to) : withDots(message, from, to, dots);
  }
  if (!endsLine(message)) yield CRLF;
}

/** Bytes of all blocks of stuffDots together. */
export function stuffedLength(message: Buffer): number {
  return message.length + dotsIn(message, 0, message.length) + (endsLine(message) ? 0 : CRLF.length);
}

/** Bytes of the message in one block. */
const BLOCK = 256 * 1024;
const DOT = 0x2e;
const CRLF = Buffer.from('\r\n');
const LINE_WITH_DOT = Buffer.from('\r\n.');

function endsLine(message: Buffer): boolean {
  return message.length === 0 || message.subarray(-CRLF.length).equals(CRLF);
}

/** The first dot that begins a line, from `from` on and before `to`; -1 where there is none. */
function nextDot(message: Buffer, from: number, to: number): number {
  if (from === 0 && message[0] === DOT) return 0;
  const within = message.subarray(Math.max(0, from - CRLF.length), to);
  const at = within.indexOf(LINE_WITH_DOT);
  return at < 0 ? -1 : within.byteOffset - message.byteOffset + at + CRLF.length;
}

function dotsIn(message: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = nextDot(message, from, to); at >= 0; at = nextDot(message, at + 1, to)) count += 1;
  return count;
}

function withDots(message: Buffer, from: number, to: number, dots: number): Buffer {
  const block = Buffer.allocUnsafe(to - from + dots);
  let read = from;
  let written = 0;
  for (let at = nextDot(message, from, to); at >= 0; at = nextDot(message, read + 1, to)) {
    written += message.copy(block, written, read, at);
    block[written++] = DOT;
    read = at;
  }
  message.copy(block, written, read, to);
  return block;
}
