/**
 * The header of a message or of a MIME part (RFC 5322 2.2): where its fields are, byte for byte. Nothing is decoded;
 * values are read as latin1, so that every byte stays one character.
 */
import { trimBlank } from './tokens.ts';

export interface Field {
  /** As written, without space before the colon. */
  readonly name: string;
  /** Lower case: names are case-insensitive (RFC 5322 1.2.2). */
  readonly key: string;
  /** Unfolded (RFC 5322 2.2.3), space and tab trimmed at both ends; one latin1 character for each byte. */
  readonly value: string;
  /** Offset of the first byte of the name. */
  readonly start: number;
  /** Offset behind the last line's CRLF: `start` to `end` is the whole field, folds included. */
  readonly end: number;
}

export interface Header {
  /** In the order of the message, at most MAX_FIELDS. */
  readonly fields: readonly Field[];
  /** Bytes with the empty line that ends the header; the message's length where there is no such line. */
  readonly size: number;
  /**
   * The first reason, in plain words and without content, why another reader might see other fields than these.
   * A listener refuses such a message; whoever reads stored mail may go on with the fields that were found.
   */
  readonly malformed?: string;
}

/** Fields of one header. Mail in the field has below 50, after many hops perhaps 200. */
export const MAX_FIELDS = 1000;

/** Bytes of one header: `To` with 1000 recipients takes 60 KB, a key in `Autocrypt` a few. */
export const MAX_HEADER_BYTES = 512 * 1024;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

/** Reads the header at the start of `message`. Never throws; linear in the size of the header. */
export function parseHeader(message: Buffer): Header {
  const fields: Field[] = [];
  let malformed: string | undefined;
  let at = 0;
  while (at < message.length) {
    const next = lineEnd(message, at);
    if (isEmptyLine(message, at, next)) return header(fields, next, malformed);
    if (fields.length === MAX_FIELDS || next > MAX_HEADER_BYTES) {
      malformed ??= 'header too large';
      return header(fields, endOfHeader(message, at), malformed);
    }
    let end = next;
    while (end <= MAX_HEADER_BYTES && isFolded(message, end)) end = lineEnd(message, end);
    if (end > MAX_HEADER_BYTES) {
      malformed ??= 'header too large';
      return header(fields, endOfHeader(message, end), malformed);
    }
    malformed ??= badLineEnd(message, at, end);
    const colon = endOfName(message, at, end);
    if (colon === undefined) {
      malformed ??= 'header line that is not a field';
    } else {
      const field = readField(message, at, colon, end);
      // RFC 5322 4.5 lets an old writer put space there; readers differ on whether that is the same field.
      if (field.name.length !== colon - at) malformed ??= 'space before the colon of a header field';
      fields.push(field);
    }
    at = end;
  }
  return header(fields, message.length, malformed);
}

/** The fields called `key` (lower case), in the order of the message. */
export function fieldsOf(header: Header, key: string): readonly Field[] {
  return header.fields.filter((field) => field.key === key);
}

/** `message` without the fields called one of `keys` (lower case), folds included; every other byte stays. */
export function withoutFields(message: Buffer, header: Header, keys: ReadonlySet<string>): Buffer {
  return editFields(message, header, (field) => (keys.has(field.key) ? '' : undefined));
}

/**
 * `message` with fields replaced: `edit` answers with the field's new bytes (CRLF included, '' removes it), or
 * undefined to leave it alone. Every other byte stays; where nothing changes the very same buffer comes back.
 */
export function editFields(
  message: Buffer,
  header: Header,
  edit: (field: Field) => string | undefined,
): Buffer {
  const pieces: Buffer[] = [];
  let kept = 0;
  for (const field of header.fields) {
    const replacement = edit(field);
    if (replacement === undefined) continue;
    pieces.push(message.subarray(kept, field.start), Buffer.from(replacement, 'latin1'));
    kept = field.end;
  }
  if (pieces.length === 0) return message;
  pieces.push(message.subarray(kept));
  return Buffer.concat(pieces);
}

function header(fields: readonly Field[], size: number, malformed: string | undefined): Header {
  return malformed === undefined ? { fields, size } : { fields, size, malformed };
}

/** Offset behind the line that begins at `at`. */
function lineEnd(message: Buffer, at: number): number {
  const feed = message.indexOf(LF, at);
  return feed < 0 ? message.length : feed + 1;
}

function isEmptyLine(message: Buffer, at: number, next: number): boolean {
  if (message[next - 1] !== LF) return false;
  return next - at === 1 || (next - at === 2 && message[at] === CR);
}

/** RFC 5322 2.2.3: a line that begins with space or tab goes on with the field before it. */
function isFolded(message: Buffer, at: number): boolean {
  return message[at] === SPACE || message[at] === TAB;
}

/** Some readers end a line at a lone CR or LF, others do not (RFC 5322 2.3 forbids both). */
function badLineEnd(message: Buffer, start: number, end: number): string | undefined {
  for (let at = start; at < end; at++) {
    const byte = message[at];
    if (byte === LF) return 'header line that ends in a bare line feed';
    if (byte !== CR) continue;
    if (message[at + 1] !== LF) return 'bare carriage return in the header';
    at++;
  }
  return undefined;
}

/** Offset of the colon where a field name stands before it, else undefined. */
function endOfName(message: Buffer, start: number, end: number): number | undefined {
  let at = start;
  // RFC 5322 3.6.8, ftext: printable ASCII without the colon.
  for (; at < end; at++) {
    const byte = message[at] ?? 0;
    if (byte <= SPACE || byte > 0x7e || byte === COLON) break;
  }
  if (at === start) return undefined;
  while (at < end && (message[at] === SPACE || message[at] === TAB)) at++;
  return message[at] === COLON ? at : undefined;
}

function readField(message: Buffer, start: number, colon: number, end: number): Field {
  const name = trimBlank(message.toString('latin1', start, colon));
  const value = trimBlank(message.toString('latin1', colon + 1, end).replace(/\r?\n/g, ''));
  return { name, key: name.toLowerCase(), value, start, end };
}

/** Beyond the bounds only the end is looked for, by the native search. */
function endOfHeader(message: Buffer, from: number): number {
  // `from` is the start of a line: the empty line may be this one.
  const at = Math.max(0, from - 1);
  const crlf = message.indexOf('\n\r\n', at);
  const lf = message.indexOf('\n\n', at);
  const ends = [crlf < 0 ? message.length : crlf + 3, lf < 0 ? message.length : lf + 2];
  return Math.min(...ends);
}
