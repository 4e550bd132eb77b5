import { parseHeader } from '../../message/header.ts';
import type { Header } from '../../message/header.ts';
import type { Section } from '../wire/command.ts';
import type { Part } from './parts.ts';

/** Bytes of a message, from `start` up to, not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** What a section is made of: ranges of the message, in order, and an empty line behind them (HEADER.FIELDS). */
export interface Located {
  readonly ranges: readonly Range[];
  readonly emptyLine: boolean;
  /** Octets of all of it. */
  readonly size: number;
}

/** What must be at hand to find a section: the sizes alone, the message's header block, or its parts. */
export function needsOfSection(section: Section): 'sizes' | 'header' | 'parts' {
  if (section.part.length > 0) return 'parts';
  return section.what === 'header-fields' || section.what === 'header-fields-not' ? 'header' : 'sizes';
}

/** What is known of a message; `header` its header block, `parts` from parts.ts: see `needsOfSection`. */
export interface KnownMessage {
  readonly size: number;
  /** With the empty line. */
  readonly headerSize: number;
  readonly header?: Buffer;
  /** `header`, where it was read already. */
  readonly fields?: Header;
  readonly parts?: Part;
}

/**
 * Finds a section (RFC 9051 6.4.5.1). Undefined where the message has no such part, or what would be needed is not at
 * hand: the answer is then NIL.
 */
export function locateSection(section: Section, known: KnownMessage): Located | undefined {
  if (section.part.length > 0) return locateInPart(section, known);
  switch (section.what) {
    case 'whole':
      return oneRange(0, known.size);
    case 'header':
      return oneRange(0, known.headerSize);
    case 'text':
      return oneRange(known.headerSize, known.size);
    case 'header-fields':
    case 'header-fields-not':
      return selectFieldsOf(known, section);
    case 'mime':
      return undefined;
  }
}

function selectFieldsOf({ header, fields }: KnownMessage, section: Section): Located | undefined {
  const read = fields ?? (header && parseHeader(header));
  return read && selectFields(read, 0, section);
}

function locateInPart(section: Section, { parts }: KnownMessage): Located | undefined {
  const part = parts && findPart(parts, section.part);
  if (!part) return undefined;
  if (section.what === 'whole') return oneRange(part.body, part.end);
  if (section.what === 'mime') return oneRange(part.start, part.body);
  // The rest is of a message within: HEADER, HEADER.FIELDS, TEXT.
  const { message } = part;
  if (!message) return undefined;
  if (section.what === 'header') return oneRange(message.start, message.body);
  if (section.what === 'text') return oneRange(message.body, message.end);
  return selectFields(message.header, message.start, section);
}

/** RFC 9051 6.4.5.1: a message that is no multipart has one part, number 1, its body. */
export function findPart(root: Part, numbers: readonly number[]): Part | undefined {
  let message: Part | undefined = root;
  let part: Part | undefined;
  for (const number of numbers) {
    if (message)
      part = message.children.length === 0 && number === 1 ? message : message.children[number - 1];
    else part = part?.children[number - 1];
    if (!part) return undefined;
    message = part.message;
  }
  return part;
}

/** The fields as they stand, folds and all, in the message's order; the empty line always follows. */
function selectFields(header: Header, offset: number, section: Section): Located {
  const named = new Set(section.fields);
  const wanted = section.what === 'header-fields';
  const ranges = header.fields
    .filter((field) => named.has(field.key) === wanted)
    .map(({ start, end }) => ({ start: start + offset, end: end + offset }));
  return located(ranges, true);
}

function oneRange(start: number, end: number): Located {
  return located([{ start, end }], false);
}

function located(ranges: readonly Range[], emptyLine: boolean): Located {
  const size = ranges.reduce((sum, { start, end }) => sum + end - start, emptyLine ? EMPTY_LINE.length : 0);
  return { ranges, emptyLine, size };
}

const EMPTY_LINE = Buffer.from('\r\n');

/** The bytes of a section out of a buffer that begins at the message's start and reaches as far as the section. */
export function bytesOfSection(section: Located, message: Buffer): Buffer {
  const pieces = section.ranges.map(({ start, end }) => message.subarray(start, end));
  const [only] = pieces;
  if (pieces.length === 1 && only && !section.emptyLine) return only;
  return Buffer.concat(section.emptyLine ? [...pieces, EMPTY_LINE] : pieces);
}

/** The part of a single range that `<start.length>` asks for; empty where it begins behind the end. */
export function clipRange(range: Range, partial: { readonly start: number; readonly length: number }): Range {
  const start = Math.min(range.start + partial.start, range.end);
  return { start, end: Math.min(start + partial.length, range.end) };
}
