import type { Command, FetchItem, Section } from './command.ts';
import { Problem } from './reader.ts';
import type { Reader } from './reader.ts';

/** Items in one FETCH: each section is looked up in each message. */
const MAX_ITEMS = 50;
/** Names in one HEADER.FIELDS; Delta Chat asks for nine. */
const MAX_FIELDS = 100;
/** Numbers in `1.2.3`; deeper parts are not looked at either (message-structure.ts). */
const MAX_PART_DEPTH = 50;
/** RFC 9051 `number64` of a partial, kept where sums stay exact. */
const MAX_OFFSET = 2 ** 48;

type Plain = Exclude<FetchItem['kind'], 'SECTION'>;

const plain = new Map<string, Plain>(
  (
    ['FLAGS', 'UID', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY', 'BODYSTRUCTURE', 'MODSEQ'] as const
  ).map((kind) => [kind, kind]),
);

/** RFC 9051 `fetch`: "ALL" / "FULL" / "FAST" in place of items. */
const macros = new Map<string, readonly Plain[]>([
  ['ALL', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE']],
  ['FAST', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE']],
  ['FULL', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY']],
]);

/** RFC 3501 6.4.5: older names for sections; the answer bears the old name. */
const rfc822 = new Map<string, { readonly what: Section['what']; readonly peek: boolean }>([
  ['RFC822', { what: 'whole', peek: false }],
  ['RFC822.HEADER', { what: 'header', peek: true }],
  ['RFC822.TEXT', { what: 'text', peek: false }],
]);

const ITEM_NAME = /[A-Za-z0-9.]+/y;

/**
 * RFC 9051 `fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")`
 * and RFC 4466 `fetch-modifiers`.
 */
export function parseFetch(uid: boolean, reader: Reader): Command {
  reader.space();
  const set = reader.sequenceSet();
  reader.space();
  const items =
    reader.peek() === '('
      ? reader.filledList(() => item(reader, itemName(reader)), MAX_ITEMS)
      : itemsOrMacro(reader);
  let changedSince: number | undefined;
  if (!reader.atEnd()) {
    // RFC 7162 3.1.4.1. VANISHED belongs to QRESYNC, which is not offered.
    reader.filledList(() => {
      if (!reader.takenWord('CHANGEDSINCE')) throw new Problem('Unknown FETCH modifier');
      reader.space();
      changedSince = reader.number('a mod-sequence');
    });
  }
  return { name: 'FETCH', uid, set, items: once(items), ...(changedSince !== undefined && { changedSince }) };
}

function itemName(reader: Reader): string {
  const match = reader.match(ITEM_NAME);
  if (!match) throw new Problem('Expected a FETCH item');
  return match[0].toUpperCase();
}

function itemsOrMacro(reader: Reader): FetchItem[] {
  const name = itemName(reader);
  return macros.get(name)?.map((kind) => ({ kind })) ?? [item(reader, name)];
}

function item(reader: Reader, name: string): FetchItem {
  if ((name === 'BODY' || name === 'BODY.PEEK') && reader.taken('['))
    return sectionItem(reader, name === 'BODY.PEEK');
  const kind = plain.get(name);
  if (kind) return { kind };
  const old = rfc822.get(name);
  if (!old) throw new Problem('Unknown FETCH item');
  return {
    kind: 'SECTION',
    peek: old.peek,
    section: { part: [], what: old.what, fields: [] },
    label: name,
  };
}

const PART = /[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,8})*/y;
const SECTION_TEXT = /HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME/iy;

/** RFC 9051 `section = "[" [section-spec] "]"`, the bracket already taken, and `partial = "<" number "." nz-number ">"`. */
function sectionItem(reader: Reader, peek: boolean): FetchItem {
  const numbers = reader.match(PART)?.[0] ?? '';
  const part = numbers === '' ? [] : numbers.split('.').map(Number);
  if (part.length > MAX_PART_DEPTH) throw new Problem('Section too deep');
  const dot = numbers !== '' && reader.taken('.');
  const text = reader.match(SECTION_TEXT)?.[0].toUpperCase();
  if (text !== undefined && (numbers !== '') !== dot) throw new Problem('Invalid section');
  if (text === undefined && dot) throw new Problem('Invalid section');
  // `MIME` is of a part (RFC 9051 section-part "." "MIME").
  if (text === 'MIME' && part.length === 0) throw new Problem('Invalid section');

  let fields: string[] = [];
  if (text?.startsWith('HEADER.FIELDS')) {
    reader.space();
    fields = reader.filledList(() => fieldName(reader), MAX_FIELDS);
  }
  reader.expect(']');
  const partial = partialOf(reader);
  const list = fields.length > 0 ? ` (${fields.map(labelOfField).join(' ')})` : '';
  return {
    kind: 'SECTION',
    peek,
    section: { part, what: whatOf(text), fields: fields.map((name) => name.toLowerCase()) },
    ...(partial && { partial }),
    label: `BODY[${numbers}${dot ? '.' : ''}${text ?? ''}${list}]`,
  };
}

function whatOf(text: string | undefined): Section['what'] {
  switch (text) {
    case undefined:
      return 'whole';
    case 'HEADER.FIELDS':
      return 'header-fields';
    case 'HEADER.FIELDS.NOT':
      return 'header-fields-not';
    default:
      return text.toLowerCase() as 'header' | 'text' | 'mime';
  }
}

/** RFC 9051 `header-fld-name = astring`, of which RFC 5322 `ftext` can be one. */
function fieldName(reader: Reader): string {
  const name = reader.astring('a header field name').toString('latin1');
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name)) throw new Problem('Invalid header field name');
  return name;
}

/** As the client wrote it; quoted where it is no astring without quotes. */
function labelOfField(name: string): string {
  return /^[^(){%*"\\]+$/.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&')}"`;
}

function partialOf(reader: Reader): { start: number; length: number } | undefined {
  if (!reader.taken('<')) return undefined;
  const start = reader.number('an offset');
  reader.expect('.');
  const length = reader.number('a length');
  reader.expect('>');
  if (length === 0) throw new Problem('A partial length must not be 0');
  return { start: Math.min(start, MAX_OFFSET), length: Math.min(length, MAX_OFFSET) };
}

/** Each item once: an answer with the same one twice would be read twice. */
function once(items: readonly FetchItem[]): FetchItem[] {
  const seen = new Map<string, FetchItem>();
  for (const each of items) {
    const key =
      each.kind === 'SECTION'
        ? `${each.label.toUpperCase()}<${String(each.partial?.start)}.${String(each.partial?.length)}>`
        : each.kind;
    const before = seen.get(key);
    // BODY[] beside BODY.PEEK[]: one answer, and \Seen is set.
    if (before?.kind === 'SECTION' && each.kind === 'SECTION')
      seen.set(key, { ...before, peek: before.peek && each.peek });
    else seen.set(key, each);
  }
  return [...seen.values()];
}
