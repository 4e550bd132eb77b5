import { formatDateTime } from './date-time.ts';
import { encodeUtf7 } from './modified-utf7.ts';
import { formatSequenceSet } from './sequence-set.ts';

/**
 * What the server says, RFC 9051 section 7 and 9. Everything here is a piece of a line: a string holds US-ASCII only,
 * octets beyond it stand in Buffers, inside literals. `lineOf` puts pieces together and ends the line.
 */
export type Piece = string | Buffer;

/** One whole line, CRLF added. Strings are written as latin1: no character may grow. */
export function lineOf(...pieces: readonly Piece[]): Buffer {
  return Buffer.concat([...pieces.map(bytesOf), CRLF]);
}

const CRLF = Buffer.from('\r\n');

export function bytesOf(piece: Piece): Buffer {
  return typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
}

// ---- status ------------------------------------------------------------------------------------------------------

export type Status = 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH';

/**
 * `A1 OK [CODE …] text`; `tag` `*` for untagged. `code` goes without brackets, see below. Control and non-ASCII
 * characters of the text become `?`; RFC 9051 `resp-text` needs at least one character.
 */
export function statusLine(tag: string, status: Status, text: string, code?: string): Buffer {
  const safe = text.replace(/[^\x20-\x7e]/g, '?') || status;
  return lineOf(`${tag} ${status} ${code === undefined ? '' : `[${code}] `}${safe}`);
}

/** `+ text`: the client may go on. */
export function continuation(text: string): Buffer {
  return lineOf(`+ ${text.replace(/[^\x20-\x7e]/g, '?')}`);
}

/** Response codes with arguments; those without are written as they are: 'READ-WRITE', 'TRYCREATE', 'CLOSED' … */
export const codes = {
  capability: (capabilities: readonly string[]) => `CAPABILITY ${capabilities.join(' ')}`,
  permanentFlags: (flags: readonly string[]) => `PERMANENTFLAGS ${flagList(flags)}`,
  uidValidity: (value: number) => `UIDVALIDITY ${String(value)}`,
  uidNext: (value: number) => `UIDNEXT ${String(value)}`,
  unseen: (number: number) => `UNSEEN ${String(number)}`,
  /** RFC 7162 3.1.2.1. */
  highestModseq: (value: number) => `HIGHESTMODSEQ ${String(value)}`,
  /** RFC 7162 3.1.3: numbers or UIDs, as the STORE was. */
  modified: (numbers: readonly number[]) => `MODIFIED ${formatSequenceSet(numbers)}`,
  /** RFC 4315. */
  appendUid: (uidValidity: number, uid: number) => `APPENDUID ${String(uidValidity)} ${String(uid)}`,
  copyUid: (uidValidity: number, source: readonly number[], target: readonly number[]) =>
    `COPYUID ${String(uidValidity)} ${formatSequenceSet(source)} ${formatSequenceSet(target)}`,
  badCharset: (charsets: readonly string[]) => `BADCHARSET (${charsets.join(' ')})`,
  /** RFC 5464 4.2.1: the size of the longest value that was left out. */
  metadataLongEntries: (size: number) => `METADATA LONGENTRIES ${String(size)}`,
  /** RFC 5464 4.3. */
  metadataMaxSize: (size: number) => `METADATA MAXSIZE ${String(size)}`,
} as const;

// ---- strings -----------------------------------------------------------------------------------------------------

/**
 * A string as quoted where that is allowed, else as a literal (CR, LF, NUL, 8-bit octets, very long ones). Text is
 * written in UTF-8. Note NUL cannot be sent even so (RFC 9051 CHAR8): the caller sees to it.
 */
export function stringOf(value: string | Buffer): Piece {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes.length <= MAX_QUOTED) {
    const text = bytes.toString('latin1');
    if (/^[\x01-\x09\x0b\x0c\x0e-\x7f]*$/.test(text)) return quoted(text);
  }
  return literalOf(bytes);
}

/** Longer strings go as literals, as other servers do it. */
const MAX_QUOTED = 1000;

/** NIL for undefined. */
export function nstringOf(value: string | Buffer | undefined): Piece {
  return value === undefined ? 'NIL' : stringOf(value);
}

/** `{n}` with the bytes; RFC 5464 values that hold `"` or `\` must go like this for Delta Chat (client.md 2.6, 8). */
export function literalOf(bytes: Buffer): Buffer {
  return Buffer.concat([bytesOf(literalStart(bytes.length)), bytes]);
}

/** The head of a literal whose bytes the caller writes after it. */
export function literalStart(size: number): string {
  return `{${String(size)}}\r\n`;
}

/** The text holds no CR, LF, NUL or 8-bit character. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** A mailbox name: always quoted, which every client takes and METADATA demands (imap-proto: `metadata_common`). */
export function mailboxOf(name: string): string {
  return quoted(encodeUtf7(name));
}

/** Pieces of one value, put together with spaces and brackets around: `(a b c)`. */
export function listOf(items: readonly Piece[]): Piece[] {
  const pieces: Piece[] = ['('];
  items.forEach((item, at) => pieces.push(...(at === 0 ? [item] : [' ', item])));
  pieces.push(')');
  return pieces;
}

export function flagList(flags: readonly string[]): string {
  return `(${flags.join(' ')})`;
}

// ---- FETCH -------------------------------------------------------------------------------------------------------

/**
 * `* n FETCH (…)` of items below. For a body that is streamed: write `fetchStart`, the items with `' '` between, for
 * the body `sectionStart` and then exactly `size` octets, at the end `fetchEnd`.
 */
export function fetchLine(number: number, items: readonly Piece[]): Buffer {
  return lineOf(`* ${String(number)} FETCH `, ...listOf(items));
}

export function fetchStart(number: number): string {
  return `* ${String(number)} FETCH (`;
}

export const fetchEnd = ')\r\n';

export const fetchItems = {
  flags: (flags: readonly string[]) => `FLAGS ${flagList(flags)}`,
  uid: (uid: number) => `UID ${String(uid)}`,
  size: (size: number) => `RFC822.SIZE ${String(size)}`,
  internalDate: (ms: number) => `INTERNALDATE "${formatDateTime(ms)}"`,
  modseq: (modseq: number) => `MODSEQ (${String(modseq)})`,
  /** `structure` comes from message-structure.ts. */
  envelope: (structure: Buffer) => Buffer.concat([Buffer.from('ENVELOPE '), structure]),
  body: (structure: Buffer) => Buffer.concat([Buffer.from('BODY '), structure]),
  bodyStructure: (structure: Buffer) => Buffer.concat([Buffer.from('BODYSTRUCTURE '), structure]),
} as const;

/** `BODY[TEXT]<0> {n}` CRLF; `size` octets follow. `start` where the client asked for a part of it. */
export function sectionStart(label: string, size: number, start?: number): string {
  return `${label}${start === undefined ? '' : `<${String(start)}>`} ${literalStart(size)}`;
}

/** A section with its bytes; NIL for one that does not exist (RFC 9051 7.5.2 nstring). */
export function sectionOf(label: string, bytes: Buffer | undefined, start?: number): Piece {
  if (!bytes) return `${label}${start === undefined ? '' : `<${String(start)}>`} NIL`;
  return Buffer.concat([bytesOf(sectionStart(label, bytes.length, start)), bytes]);
}

// ---- other data --------------------------------------------------------------------------------------------------

export const untagged = {
  capability: (capabilities: readonly string[]) => lineOf(`* CAPABILITY ${capabilities.join(' ')}`),
  /** RFC 5161. */
  enabled: (capabilities: readonly string[]) => lineOf(['* ENABLED', ...capabilities].join(' ')),
  exists: (count: number) => lineOf(`* ${String(count)} EXISTS`),
  recent: (count: number) => lineOf(`* ${String(count)} RECENT`),
  expunge: (number: number) => lineOf(`* ${String(number)} EXPUNGE`),
  flags: (flags: readonly string[]) => lineOf(`* FLAGS ${flagList(flags)}`),
  /** `modseq` per RFC 7162 3.1.5, where the search had a MODSEQ key and found something. */
  search: (numbers: readonly number[], modseq?: number) =>
    lineOf(
      ['* SEARCH', ...numbers].join(' '),
      modseq === undefined || numbers.length === 0 ? '' : ` (MODSEQ ${String(modseq)})`,
    ),
  /** `attributes` such as `\HasNoChildren`; the delimiter is always `/`. */
  list: (name: 'LIST' | 'LSUB', attributes: readonly string[], mailbox: string) =>
    lineOf(`* ${name} ${flagList(attributes)} "/" ${mailboxOf(mailbox)}`),
  /** RFC 9051 6.3.9: the answer to `LIST "" ""`. */
  delimiter: () => lineOf('* LIST (\\Noselect) "/" ""'),
  status: (mailbox: string, items: readonly (readonly [string, number])[]) =>
    lineOf(
      `* STATUS ${mailboxOf(mailbox)} (${items.map(([name, value]) => `${name} ${String(value)}`).join(' ')})`,
    ),
  /** RFC 2342: one personal namespace. */
  namespace: () => lineOf('* NAMESPACE (("" "/")) NIL NIL'),
  /** RFC 2971. */
  id: (fields: readonly (readonly [string, string])[]) =>
    fields.length === 0
      ? lineOf('* ID NIL')
      : lineOf('* ID ', ...listOf(fields.flatMap(([name, value]) => [stringOf(name), stringOf(value)]))),
  /** RFC 9208; KiB. */
  quota: (root: string, usedKib: number, limitKib: number) =>
    lineOf('* QUOTA ', stringOf(root), ` (STORAGE ${String(usedKib)} ${String(limitKib)})`),
  quotaRoot: (mailbox: string, root: string) => lineOf(`* QUOTAROOT ${mailboxOf(mailbox)} `, stringOf(root)),
  /**
   * RFC 5464 4.4.1. Values go as literals (Delta Chat does not unescape quoted ones), unknown ones as NIL; at least one
   * entry: an empty list kills the client's session (client.md 2.6, 1).
   */
  metadata: (mailbox: string, entries: readonly (readonly [string, string | Buffer | undefined])[]) =>
    lineOf(
      `* METADATA ${mailboxOf(mailbox)} `,
      ...listOf(
        entries.flatMap(([entry, value]) => [
          entry,
          value === undefined ? 'NIL' : literalOf(typeof value === 'string' ? Buffer.from(value) : value),
        ]),
      ),
    ),
} as const;
