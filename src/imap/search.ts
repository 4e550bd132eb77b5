import { fieldsOf } from '../message/header.ts';
import type { Header } from '../message/header.ts';
import { createBytesMatcher } from './bytes-matcher.ts';
import type { BytesMatcher } from './bytes-matcher.ts';
import type { SearchKey } from './wire/command.ts';
import { dayNumber } from './wire/date-time.ts';
import { spansOf } from './wire/sequence-set.ts';
import type { SequenceSet, Span } from './wire/sequence-set.ts';

/** What is known of one message. Leave `header` and `found` out until a search says that it needs them. */
export interface SearchFacts {
  /** Message number, 1 for the first. */
  readonly number: number;
  readonly uid: number;
  readonly modseq: number;
  readonly flags: readonly string[];
  /** Milliseconds since 1970. */
  readonly internalDate: number;
  readonly size: number;
  readonly header?: Header;
  /** What a text scan of this message answered. */
  readonly found?: TextFound;
}

/** Opaque; by the place of the key in its search. */
export type TextFound = readonly boolean[];

/** A search made ready for one mailbox. Pure; times linear in keys, and in the bytes that are scanned. */
export interface Search {
  /** Whether some key asks for header fields, and for the message's text. */
  readonly needs: { readonly header: boolean; readonly text: boolean };
  /** Keys, those that ask for header fields, and those that ask for text: what one message costs. */
  readonly keys: { readonly all: number; readonly header: number; readonly text: number };
  /**
   * Whether a message fits; undefined where that hangs on facts that were left out. Ask with what is cheap, fetch the
   * header and ask again, scan the text and ask again.
   */
  test(facts: SearchFacts): boolean | undefined;
  /** A scan of one message's text. */
  scan(headerSize: number): TextScan;
}

/** Takes the bytes of one message in order. Bytes are searched as they are: nothing is decoded. */
export interface TextScan {
  /** True once nothing more can be found out. */
  feed(chunk: Buffer): boolean;
  result(): TextFound;
}

type TextKey = Extract<SearchKey, { kind: 'body' | 'text' }>;
type Test = (facts: SearchFacts) => boolean | undefined;

const DAY_MS = 24 * 3600 * 1000;

/** `uids`: the mailbox's, ascending, for `*` in sets. */
export function compileSearch(key: SearchKey, uids: readonly number[]): Search {
  const textKeys: TextKey[] = [];
  let header = 0;
  let all = 0;

  function compile(part: SearchKey): Test {
    all += 1;
    switch (part.kind) {
      case 'all':
        return () => true;
      case 'nothing':
        return () => false;
      case 'and':
        return both(part.keys.map(compile), false);
      case 'or':
        return both(part.keys.map(compile), true);
      case 'not': {
        const test = compile(part.key);
        return (facts) => negate(test(facts));
      }
      case 'numbers':
        return inSet(part.set, uids.length, (facts) => facts.number);
      case 'uids':
        return inSet(part.set, uids.at(-1) ?? 0, (facts) => facts.uid);
      case 'flag': {
        const flag = part.flag.toLowerCase();
        return (facts) => facts.flags.some((name) => name.toLowerCase() === flag);
      }
      case 'internal-date':
        // RFC 9051 6.4.4: dates are compared without time and zone.
        return (facts) => compareDay(Math.floor(facts.internalDate / DAY_MS), part);
      case 'sent-date':
        header += 1;
        return (facts) => facts.header && compareDay(sentDay(facts.header), part);
      case 'size':
        return (facts) => (part.relation === 'larger' ? facts.size > part.size : facts.size < part.size);
      case 'header':
        header += 1;
        return (facts) => facts.header && hasField(facts.header, part.field, part.value);
      case 'modseq':
        // RFC 7162 3.1.5: equal or greater.
        return (facts) => facts.modseq >= part.modseq;
      case 'body':
      case 'text': {
        const place = textKeys.push(part) - 1;
        return (facts) => facts.found?.[place];
      }
    }
  }

  const test = compile(key);
  return {
    needs: { header: header > 0, text: textKeys.length > 0 },
    keys: { all, header, text: textKeys.length },
    test,
    scan: (size) => createTextScan(textKeys, size),
  };
}

/** Three-valued: `decisive` settles it whatever is unknown. */
function both(tests: readonly Test[], decisive: boolean): Test {
  return (facts) => {
    let unknown = false;
    for (const test of tests) {
      const answer = test(facts);
      if (answer === decisive) return decisive;
      if (answer === undefined) unknown = true;
    }
    return unknown ? undefined : !decisive;
  };
}

function negate(answer: boolean | undefined): boolean | undefined {
  return answer === undefined ? undefined : !answer;
}

function inSet(set: SequenceSet, highest: number, value: (facts: SearchFacts) => number): Test {
  const spans = spansOf(set, highest);
  return (facts) => isWithin(spans, value(facts));
}

/** By halves: a set may have thousands of ranges, and every message is asked. */
function isWithin(spans: readonly Span[], value: number): boolean {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle]?.last ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  const span = spans[low];
  return span !== undefined && span.first <= value;
}

function compareDay(
  day: number | undefined,
  key: { readonly relation: 'before' | 'on' | 'since'; readonly day: number },
): boolean {
  if (day === undefined) return false;
  if (key.relation === 'before') return day < key.day;
  return key.relation === 'on' ? day === key.day : day >= key.day;
}

const DATE =
  /^(?:[A-Za-z]{1,9},?)?\s{0,20}([0-9]{1,2})\s{1,20}([A-Za-z]{3})[A-Za-z]{0,6}\s{1,20}([0-9]{2,4})(?![0-9])/;

/** The calendar day of the Date field as its writer gave it; undefined where it cannot be read. */
function sentDay(header: Header): number | undefined {
  const match = DATE.exec(fieldsOf(header, 'date')[0]?.value ?? '');
  if (!match) return undefined;
  const [, day, month = '', digits = ''] = match;
  const year = Number(digits);
  // RFC 5322 4.3: years of two and three digits.
  const full = digits.length === 4 ? year : digits.length === 3 || year >= 50 ? year + 1900 : year + 2000;
  return dayNumber(Number(day), month, full);
}

function hasField(header: Header, field: string, value: Buffer): boolean {
  return fieldsOf(header, field).some((each) =>
    createBytesMatcher(value).feed(Buffer.from(each.value, 'latin1')),
  );
}

function createTextScan(keys: readonly TextKey[], headerSize: number): TextScan {
  const matchers = keys.map(({ value }): BytesMatcher => createBytesMatcher(value));
  const found = matchers.map((matcher) => matcher.feed(EMPTY));
  let fed = 0;
  return {
    feed(chunk) {
      keys.forEach(({ kind }, at) => {
        if (found[at]) return;
        // BODY leaves the header out (RFC 9051 6.4.4).
        const skip = kind === 'body' ? Math.max(0, headerSize - fed) : 0;
        found[at] = matchers[at]?.feed(chunk.subarray(skip)) ?? false;
      });
      fed += chunk.length;
      return found.every(Boolean);
    },
    result: () => found,
  };
}

const EMPTY = Buffer.alloc(0);
