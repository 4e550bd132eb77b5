import { parameterOf, parseContentType } from '../../message/content-type.ts';
import type { ContentType } from '../../message/content-type.ts';
import { fieldsOf, parseHeader } from '../../message/header.ts';
import type { Header } from '../../message/header.ts';
import { Delimiters, MAX_BOUNDARY } from './delimiters.ts';
import type { Delimiter } from './delimiters.ts';

/**
 * A message, or a part of one, as places in the message's own bytes. The header is `start` to `body`, with the empty
 * line that ends it; the body `body` to `end`, without the CRLF that belongs to the next boundary.
 */
export interface Part {
  readonly header: Header;
  readonly start: number;
  readonly body: number;
  readonly end: number;
  readonly contentType: ContentType;
  /** Of a multipart, at least one; else empty. */
  readonly children: readonly Part[];
  /** Of a message/rfc822: the message in its body. */
  readonly message?: Part;
}

/** Parts of one message, the message itself and messages within it too. Further ones are left out. */
export const MAX_PARTS = 1000;
/** Parts within parts. What is deeper is shown as one piece, application/octet-stream. */
export const MAX_DEPTH = 50;

/** Header lines of all parts together, a hundred for each of a thousand. The part where they end, and all behind it, has no header. */
export const MAX_HEADER_LINES = 100_000;

type Growing = { -readonly [K in keyof Part]: Part[K] } & { children: Growing[]; boundary?: string };

const textPlain: ContentType = {
  type: 'text',
  subtype: 'plain',
  parameters: [{ name: 'charset', value: 'us-ascii' }],
};
const messageRfc822: ContentType = { type: 'message', subtype: 'rfc822', parameters: [] };
const opaque: ContentType = { type: 'application', subtype: 'octet-stream', parameters: [] };

const LF = 0x0a;
const CR = 0x0d;
const HYPHEN = 0x2d;

/**
 * Finds all parts of a message. Never throws: what breaks MIME's rules is read leniently, and what cannot be read is a
 * part without inner ones. One pass, linear in the message; depth and number of parts are bounded.
 */
export function parseParts(message: Buffer): Part {
  const delimiters = new Delimiters(message);
  /** The parts that are open, from the whole message inwards. */
  const open: Growing[] = [];
  let count = 0;
  let headerLines = 0;

  /** Reads a part's head, and the heads of the messages within it; answers with the place to go on from. */
  function begin(start: number, parent: Growing | undefined): number {
    let part = readHead(start, parent?.contentType.subtype === 'digest' ? messageRfc822 : textPlain);
    parent?.children.push(part);
    for (;;) {
      open.push(part);
      count += 1;
      const { type, subtype } = part.contentType;
      if (type === 'multipart') enter(part);
      const isMessage = type === 'message' && (subtype === 'rfc822' || subtype === 'global');
      if (!isMessage) return part.body;
      if (open.length >= MAX_DEPTH || count >= MAX_PARTS) {
        part.contentType = opaque;
        return part.body;
      }
      const inner = readHead(part.body, textPlain);
      part.message = inner;
      part = inner;
    }
  }

  function enter(part: Growing): void {
    const boundary = parameterOf(part.contentType, 'boundary');
    // RFC 2045 5.2: what cannot be understood is plain text.
    if (boundary === undefined || boundary === '' || boundary.length > MAX_BOUNDARY)
      part.contentType = textPlain;
    else if (open.length >= MAX_DEPTH) part.contentType = opaque;
    else {
      part.boundary = boundary;
      delimiters.open(boundary);
    }
  }

  function readHead(start: number, fallback: ContentType): Growing {
    // The message's own header ends where everybody says; that of a part may be cut short by a delimiter.
    const end = start === 0 ? message.length : endOfHeader(start);
    const header = parseHeader(message.subarray(start, end));
    const body = start + header.size;
    const [field] = fieldsOf(header, 'content-type');
    const contentType = (field && parseContentType(field.value)) ?? fallback;
    return { header, start, body, end: body, contentType, children: [] };
  }

  /** Behind the empty line; or where a delimiter, or the message's end, comes before there is one. */
  function endOfHeader(start: number): number {
    for (let at = start; at < message.length && headerLines < MAX_HEADER_LINES; headerLines += 1) {
      if (message[at] === LF) return at + 1;
      if (message[at] === CR && message[at + 1] === LF) return at + 2;
      if (message[at] === HYPHEN && delimiters.at(at)) return at;
      const feed = message.indexOf(LF, at);
      if (feed < 0) return message.length;
      at = feed + 1;
    }
    return headerLines < MAX_HEADER_LINES ? message.length : start;
  }

  /** Ends the innermost part at `end`. */
  function finish(end: number): void {
    const part = open.pop();
    if (!part) return;
    part.end = Math.max(part.body, end, part.children.at(-1)?.end ?? 0, part.message?.end ?? 0);
    if (part.boundary === undefined) return;
    leave(part);
    // RFC 9051 body-type-mpart has one part at least.
    if (part.children.length === 0) part.children.push(empty(part.body));
  }

  function leave(part: Growing): void {
    if (part.boundary !== undefined) delimiters.close(part.boundary);
    part.boundary = '';
  }

  /** Ends what is open within the multipart of this delimiter; answers with that multipart. */
  function unwind({ lineStart, boundary }: Delimiter): Growing | undefined {
    const end = beforeLineEnd(message, lineStart);
    while (open.length > 0 && open.at(-1)?.boundary !== boundary) finish(end);
    return open.at(-1);
  }

  let at = begin(0, undefined);
  const [root] = open;
  for (let delimiter = delimiters.next(at); delimiter; delimiter = delimiters.next(at)) {
    const multipart = unwind(delimiter);
    at = delimiter.next;
    if (!multipart) break;
    if (delimiter.closing) leave(multipart);
    else if (count < MAX_PARTS) at = begin(delimiter.next, multipart);
  }
  while (open.length > 0) finish(message.length);
  return root ?? empty(0);
}

function empty(at: number): Growing {
  const header: Header = { fields: [], size: 0 };
  return { header, start: at, body: at, end: at, contentType: textPlain, children: [] };
}

/** RFC 2046 5.1.1: the line end before a delimiter is the delimiter's. */
function beforeLineEnd(message: Buffer, lineStart: number): number {
  if (message[lineStart - 1] !== LF) return lineStart;
  return message[lineStart - 2] === CR ? lineStart - 2 : lineStart - 1;
}
