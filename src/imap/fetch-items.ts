import { parseHeader } from '../message/header.ts';
import type { Header } from '../message/header.ts';
import type { Message } from '../store/contract.ts';
import type { Part, Range } from './message-structure.ts';
import {
  bodyStructureOf,
  bytesOfSection,
  clipRange,
  envelopeOf,
  locateSection,
  needsOfSection,
} from './message-structure.ts';
import type { FetchItem, FetchSection } from './wire/command.ts';
import type { Piece } from './wire/response.ts';
import { fetchItems, sectionOf } from './wire/response.ts';

/**
 * What must be read for an answer: the store's row; the header block, which is cheap for many messages at once; the
 * body as a stream, perhaps with the header; or all of the message in memory, for its parts.
 */
export type FetchNeeds = 'row' | 'header' | 'body' | 'body+header' | 'parts';

/** What was read, as far as it was needed. */
export interface MessageParts {
  readonly header?: Buffer;
  /** `header`, read once for all items. */
  readonly fields?: Header;
  readonly message?: Buffer;
  readonly parts?: Part;
}

/** A part of the answer: there already, or bytes of the message that are to be streamed. */
export type PreparedItem =
  | { readonly kind: 'piece'; readonly piece: Piece }
  | {
      readonly kind: 'stream';
      readonly label: string;
      readonly range: Range;
      /** The offset asked for with `<start.length>`. */
      readonly origin: number | undefined;
    };

export function needsOf(items: readonly FetchItem[]): FetchNeeds {
  const each = new Set(items.map(needsOfItem));
  if (each.has('parts')) return 'parts';
  if (each.has('body')) return each.has('header') ? 'body+header' : 'body';
  return each.has('header') ? 'header' : 'row';
}

function needsOfItem(item: FetchItem): FetchNeeds {
  switch (item.kind) {
    case 'BODY':
    case 'BODYSTRUCTURE':
      return 'parts';
    case 'ENVELOPE':
      return 'header';
    case 'SECTION': {
      const needs = needsOfSection(item.section);
      if (needs !== 'sizes') return needs;
      return item.section.what === 'header' ? 'header' : 'body';
    }
    default:
      return 'row';
  }
}

/** `known` holds what `needsOf` said for all items together. */
export function prepareItem(item: FetchItem, row: Message, known: MessageParts): PreparedItem {
  if (item.kind === 'SECTION') return prepareSection(item, row, known);
  return { kind: 'piece', piece: pieceOf(item.kind, row, known) };
}

function pieceOf(
  kind: Exclude<FetchItem['kind'], 'SECTION'>,
  row: Message,
  { fields, message, parts }: MessageParts,
): Piece {
  switch (kind) {
    case 'FLAGS':
      return fetchItems.flags(row.flags);
    case 'UID':
      return fetchItems.uid(row.uid);
    case 'INTERNALDATE':
      return fetchItems.internalDate(row.internalDate);
    case 'RFC822.SIZE':
      return fetchItems.size(row.size);
    case 'MODSEQ':
      return fetchItems.modseq(row.modseq);
    case 'ENVELOPE':
      return fetchItems.envelope(envelopeOf(fields ?? parseHeader(NOTHING)));
    case 'BODY':
      return message && parts ? fetchItems.body(bodyStructureOf(message, parts, false)) : 'BODY NIL';
    case 'BODYSTRUCTURE':
      return message && parts
        ? fetchItems.bodyStructure(bodyStructureOf(message, parts, true))
        : 'BODYSTRUCTURE NIL';
  }
}

const NOTHING = Buffer.alloc(0);

function prepareSection(
  { section, label, partial }: FetchSection,
  row: Message,
  known: MessageParts,
): PreparedItem {
  const located = locateSection(section, { size: row.size, headerSize: row.headerSize, ...known });
  const origin = partial?.start;
  if (!located) return { kind: 'piece', piece: sectionOf(label, undefined, origin) };
  const [range] = located.ranges;
  // Put together from several places: always small, as it comes from a header.
  if (!range || located.ranges.length > 1 || located.emptyLine) {
    const bytes = bytesOfSection(located, known.message ?? known.header ?? NOTHING);
    const clipped = partial ? bytes.subarray(partial.start, partial.start + partial.length) : bytes;
    return { kind: 'piece', piece: sectionOf(label, clipped, origin) };
  }
  const wanted = partial ? clipRange(range, partial) : range;
  // What is in memory for its parts alone is not kept while a slow peer reads: it is read again, piece by piece.
  const bytes = known.message ? undefined : known.header;
  if (bytes && wanted.end <= bytes.length) {
    return { kind: 'piece', piece: sectionOf(label, bytes.subarray(wanted.start, wanted.end), origin) };
  }
  return { kind: 'stream', label, range: wanted, origin };
}
