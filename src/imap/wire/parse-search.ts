import type { Command, SearchKey } from './command.ts';
import { parseDate } from './date-time.ts';
import { Problem } from './reader.ts';
import type { Reader } from './reader.ts';

/** Brackets, NOT and OR within each other. */
const MAX_DEPTH = 50;
/** Keys in one SEARCH, whatever their nesting. */
const MAX_KEYS = 1000;
/** Keys that ask for header fields: each may go over half a megabyte of each message. */
const MAX_HEADER_KEYS = 50;
/** BODY and TEXT: each goes over all bytes of each message. */
const MAX_TEXT_KEYS = 20;
/** Octets of one string that is searched for. */
const MAX_VALUE = 1024;

interface Budget {
  keys: number;
  headerKeys: number;
  textKeys: number;
}

/** Keys without an argument. \Recent is never set, so RECENT and NEW find nothing and OLD finds all. */
const simple = new Map<string, SearchKey>([
  ['ALL', { kind: 'all' }],
  ['OLD', { kind: 'all' }],
  ['NEW', { kind: 'nothing' }],
  ['RECENT', { kind: 'nothing' }],
  ...['Answered', 'Deleted', 'Draft', 'Flagged', 'Seen'].flatMap((name): [string, SearchKey][] => {
    const key: SearchKey = { kind: 'flag', flag: `\\${name}` };
    return [
      [name.toUpperCase(), key],
      [`UN${name.toUpperCase()}`, { kind: 'not', key }],
    ];
  }),
]);

/**
 * RFC 9051 `search = "SEARCH" [search-return-opts] SP search-program`,
 * `search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)`.
 */
export function parseSearch(uid: boolean, reader: Reader): Command {
  reader.space();
  let returns: string[] | undefined;
  if (reader.takenWord('RETURN')) {
    reader.space();
    returns = reader.list(() => reader.word('a return option'));
    reader.space();
  }
  let charset: string | undefined;
  if (reader.takenWord('CHARSET')) {
    reader.space();
    charset = reader.text('a charset').toUpperCase();
    reader.space();
  }
  const budget: Budget = { keys: 0, headerKeys: 0, textKeys: 0 };
  const keys = [searchKey(reader, budget, 0)];
  while (!reader.atEnd()) keys.push(searchKey(reader, budget, 0));
  return {
    name: 'SEARCH',
    uid,
    ...(charset !== undefined && charset !== 'US-ASCII' && charset !== 'UTF-8' && { charset }),
    ...(returns && { returns }),
    key: allOf(keys),
  };
}

type ParseKey = (reader: Reader, budget: Budget, depth: number) => SearchKey;

/** Keys with arguments; the blank before them is taken. */
const withArguments = new Map<string, ParseKey>([
  ['NOT', (reader, budget, depth) => ({ kind: 'not', key: searchKey(reader, budget, depth + 1) })],
  ['OR', (reader, budget, depth) => ({ kind: 'or', keys: alternatives(reader, budget, depth + 1) })],
  ['UID', (reader) => ({ kind: 'uids', set: reader.sequenceSet() })],
  ['KEYWORD', (reader) => ({ kind: 'flag', flag: reader.atom('a keyword') })],
  ['UNKEYWORD', (reader) => ({ kind: 'not', key: { kind: 'flag', flag: reader.atom('a keyword') } })],
  ...(['before', 'on', 'since'] as const).flatMap((relation): [string, ParseKey][] => [
    [relation.toUpperCase(), (reader) => ({ kind: 'internal-date', relation, day: date(reader) })],
    [`SENT${relation.toUpperCase()}`, (reader) => ({ kind: 'sent-date', relation, day: date(reader) })],
  ]),
  ...(['larger', 'smaller'] as const).map((relation): [string, ParseKey] => [
    relation.toUpperCase(),
    (reader) => ({ kind: 'size', relation, size: reader.number('a size') }),
  ]),
  ...(['from', 'to', 'cc', 'bcc', 'subject'] as const).map((field): [string, ParseKey] => [
    field.toUpperCase(),
    (reader, budget) => headerKey(field, reader, budget),
  ]),
  [
    'HEADER',
    (reader, budget) => {
      const field = reader.astring('a header field name').toString('latin1').toLowerCase();
      reader.space();
      return headerKey(field, reader, budget);
    },
  ],
  ...(['body', 'text'] as const).map((kind): [string, ParseKey] => [
    kind.toUpperCase(),
    (reader, budget) => textKey(kind, reader, budget),
  ]),
  ['MODSEQ', (reader) => ({ kind: 'modseq', modseq: modseq(reader) })],
]);

/** RFC 9051 `search-key`; blanks after it are the caller's. Recursion is bounded by `MAX_DEPTH`. */
function searchKey(reader: Reader, budget: Budget, depth: number): SearchKey {
  budget.keys += 1;
  if (budget.keys > MAX_KEYS) throw new Problem('Too many search keys');
  if (depth > MAX_DEPTH) throw new Problem('Search too deep');
  if (reader.peek() === '(') return allOf(reader.filledList(() => searchKey(reader, budget, depth + 1)));
  if (/[0-9*]/.test(reader.peek())) return { kind: 'numbers', set: reader.sequenceSet() };

  const word = reader.word('a search key');
  const known = simple.get(word);
  if (known) return known;
  const parse = withArguments.get(word);
  if (!parse) throw new Problem('Unknown search key');
  reader.space();
  return parse(reader, budget, depth);
}

function headerKey(field: string, reader: Reader, budget: Budget): SearchKey {
  budget.headerKeys += 1;
  if (budget.headerKeys > MAX_HEADER_KEYS) throw new Problem('Too many header searches');
  return { kind: 'header', field, value: value(reader) };
}

function textKey(kind: 'body' | 'text', reader: Reader, budget: Budget): SearchKey {
  budget.textKeys += 1;
  if (budget.textKeys > MAX_TEXT_KEYS) throw new Problem('Too many text searches');
  return { kind, value: value(reader) };
}

/** `OR a OR b OR c d` is one row of alternatives here, so that long chains do not get deep. The first OR is taken. */
function alternatives(reader: Reader, budget: Budget, depth: number): SearchKey[] {
  const keys: SearchKey[] = [];
  for (;;) {
    keys.push(searchKey(reader, budget, depth));
    reader.space();
    if (!reader.takenWord('OR')) break;
    reader.space();
  }
  keys.push(searchKey(reader, budget, depth));
  return keys;
}

function allOf(keys: readonly SearchKey[]): SearchKey {
  const [only] = keys;
  return keys.length === 1 && only ? only : { kind: 'and', keys };
}

/** RFC 9051 `date = date-text / DQUOTE date-text DQUOTE`. */
function date(reader: Reader): number {
  const day = parseDate(reader.astring('a date').toString('latin1'));
  if (day === undefined) throw new Problem('Invalid date');
  return day;
}

function value(reader: Reader): Buffer {
  const bytes = reader.astring('a string');
  if (bytes.length > MAX_VALUE) throw new Problem('Search string too long');
  return bytes;
}

/** RFC 7162 `search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer`; entries share one. */
function modseq(reader: Reader): number {
  if (reader.peek() === '"') {
    reader.quoted('an entry name');
    reader.space();
    if (!['PRIV', 'SHARED', 'ALL'].includes(reader.word('an entry type')))
      throw new Problem('Unknown entry type');
    reader.space();
  }
  return reader.number('a mod-sequence');
}
