import { parameterOf } from './content-type.ts';
import type { ContentType } from './content-type.ts';

/** Bytes of a message, from `start` up to, not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A multipart body taken apart, one level deep (RFC 2046 5.1.1). */
export interface Multipart {
  readonly preamble: Range;
  /** Header and body of each part, without the CRLF that belongs to the next boundary. */
  readonly parts: readonly Range[];
  readonly epilogue: Range;
}

/** RFC 2046 5.1.1: 1 to 70 characters, the last not a space. */
const boundaryText = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const HYPHEN = 0x2d;

/** The boundary of a multipart, or the problem where two readers could take different ones. */
export function boundaryOf(contentType: ContentType): string | { readonly problem: string } {
  if (contentType.problem !== undefined) return { problem: contentType.problem };
  // RFC 2231 lets `boundary*` or `boundary*0` carry a value that only some readers look at.
  const named = contentType.parameters.filter(({ name }) => /^boundary(?:\*|$)/.test(name));
  const boundary = parameterOf(contentType, 'boundary');
  if (boundary === undefined) return { problem: 'multipart without a boundary' };
  if (named.length > 1) return { problem: 'multipart with more than one boundary parameter' };
  if (!boundaryText.test(boundary)) return { problem: 'boundary that RFC 2046 does not allow' };
  return boundary;
}

/**
 * Takes the multipart body that begins at `start` apart. Strict, for those who must know that every reader sees the
 * same parts: a line that begins with the boundary and goes on with anything but space, a missing closing boundary, a
 * boundary after the closing one, and more than `maxParts` parts are problems. Linear; no bytes are copied.
 */
export function splitMultipart(
  message: Buffer,
  start: number,
  boundary: string,
  maxParts: number,
): Multipart | { readonly problem: string } {
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  const parts: Range[] = [];
  let preamble: Range | undefined;
  let partStart = start;
  for (let from = start; ;) {
    const at = message.indexOf(delimiter, from);
    if (at < 0) return { problem: 'multipart without a closing boundary' };
    from = at + delimiter.length;
    const place = placeInLine(message, start, at);
    if (place === 'inside') continue;
    if (place === 'unclear') return { problem: 'boundary behind a bare carriage return or line feed' };

    const ended = { start: partStart, end: Math.max(partStart, at - 2) };
    if (preamble === undefined) preamble = ended;
    else if (parts.length === maxParts) return { problem: `multipart with more than ${maxParts} parts` };
    else parts.push(ended);

    const closing = message[from] === HYPHEN && message[from + 1] === HYPHEN;
    const next = endOfDelimiter(message, closing ? from + 2 : from, closing);
    if (next === undefined) return { problem: 'line that only begins with the boundary' };
    if (closing) {
      const epilogue = { start: next, end: message.length };
      if (hasBoundary(message, delimiter, next)) return { problem: 'boundary after the closing one' };
      return { preamble, parts, epilogue };
    }
    partStart = from = next;
  }
}

/** RFC 2046 5.1.1: a boundary counts at the start of a line only, and a line starts after CRLF. */
function placeInLine(message: Buffer, start: number, at: number): 'line-start' | 'inside' | 'unclear' {
  if (at === start) return 'line-start';
  const before = message[at - 1];
  if (before === LF) return message[at - 2] === CR ? 'line-start' : 'unclear';
  return before === CR ? 'unclear' : 'inside';
}

/** Offset behind the delimiter's line: space and tab may follow it (transport padding), then CRLF. */
function endOfDelimiter(message: Buffer, from: number, closing: boolean): number | undefined {
  let at = from;
  while (message[at] === SPACE || message[at] === TAB) at++;
  if (message[at] === CR && message[at + 1] === LF) return at + 2;
  return closing && at === message.length ? at : undefined;
}

function hasBoundary(message: Buffer, delimiter: Buffer, start: number): boolean {
  for (let at = message.indexOf(delimiter, start); at >= 0;) {
    if (placeInLine(message, start, at) !== 'inside') return true;
    at = message.indexOf(delimiter, at + delimiter.length);
  }
  return false;
}
