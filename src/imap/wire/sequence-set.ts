/**
 * RFC 9051 `sequence-set`: numbers and ranges of message numbers or UIDs. `*` is the highest that there is; a range
 * may be written from either end.
 */
export type SequenceSet = readonly SequenceRange[];

export interface SequenceRange {
  readonly from: number | '*';
  readonly to: number | '*';
}

/** Both ends are in it; `first` ≤ `last`. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/** Ranges in one set: a line of 64 KB holds some 10 000 single UIDs; more is nobody's honest wish. */
export const MAX_RANGES = 10_000;
/** RFC 9051 `nz-number`: 32 bits. */
const MAX_NUMBER = 0xffffffff;

const RANGE = /^([1-9][0-9]{0,9}|\*)(?::([1-9][0-9]{0,9}|\*))?$/;

/** Reads a set; undefined where it is none, holds a number above 2^32-1, or has more than `MAX_RANGES` ranges. */
export function parseSequenceSet(text: string): SequenceSet | undefined {
  const pieces = text.split(',', MAX_RANGES + 1);
  if (pieces.length > MAX_RANGES) return undefined;
  const set: SequenceRange[] = [];
  for (const piece of pieces) {
    const match = RANGE.exec(piece);
    if (match?.[1] === undefined) return undefined;
    const from = numberOrStar(match[1]);
    const to = match[2] === undefined ? from : numberOrStar(match[2]);
    if (from === undefined || to === undefined) return undefined;
    set.push({ from, to });
  }
  return set;
}

function numberOrStar(text: string): number | '*' | undefined {
  if (text === '*') return '*';
  const number = Number(text);
  return number <= MAX_NUMBER ? number : undefined;
}

/** The set with `*` put as `highest`, in ascending order, without overlaps. `highest` 0 stands for an empty mailbox. */
export function spansOf(set: SequenceSet, highest: number): readonly Span[] {
  const spans = set
    .map(({ from, to }) => {
      const a = from === '*' ? highest : from;
      const b = to === '*' ? highest : to;
      // RFC 9051: 4:2 is 2:4, and so is 559:* where the highest is below 559.
      return { first: Math.min(a, b), last: Math.max(a, b) };
    })
    .sort((a, b) => a.first - b.first);
  const merged: { first: number; last: number }[] = [];
  for (const span of spans) {
    const previous = merged.at(-1);
    if (previous && span.first <= previous.last + 1) previous.last = Math.max(previous.last, span.last);
    else merged.push({ ...span });
  }
  return merged;
}

/**
 * The UIDs of `uids` (ascending) that are in a set of UIDs, ascending. Numbers that do not exist are no error
 * (RFC 9051 6.4.9). Costs O(ranges · log(ranges · uids) + result), whatever the ranges span.
 */
export function uidsInSet(set: SequenceSet, uids: readonly number[]): number[] {
  const found: number[] = [];
  for (const { first, last } of spansOf(set, uids.at(-1) ?? 0)) {
    for (let at = lowerBound(uids, first); at < uids.length; at += 1) {
      const uid = uids[at];
      if (uid === undefined || uid > last) break;
      found.push(uid);
    }
  }
  return found;
}

/**
 * The UIDs of the messages whose numbers (1 is `uids[0]`) are in a set of message numbers, ascending. Numbers above
 * the count are passed over; `exceeds` tells whether there were any (RFC 9051 6.4: the session may call that BAD).
 */
export function numbersInSet(
  set: SequenceSet,
  uids: readonly number[],
): { uids: number[]; exceeds: boolean } {
  const found: number[] = [];
  let exceeds = uids.length === 0;
  for (const { first, last } of spansOf(set, uids.length)) {
    if (last > uids.length) exceeds = true;
    for (let number = Math.max(first, 1); number <= Math.min(last, uids.length); number += 1) {
      const uid = uids[number - 1];
      if (uid !== undefined) found.push(uid);
    }
  }
  return { uids: found, exceeds };
}

/** The message number of `uid` in `uids` (ascending); 0 where it is not there. */
export function numberOfUid(uids: readonly number[], uid: number): number {
  const at = lowerBound(uids, uid);
  return uids[at] === uid ? at + 1 : 0;
}

/** Writes ascending numbers as a set, runs as ranges: `1:3,7`. Order is kept, so COPYUID pairs stay pairs. */
export function formatSequenceSet(numbers: readonly number[]): string {
  const ranges: string[] = [];
  for (let start = 0; start < numbers.length;) {
    let end = start;
    while (end + 1 < numbers.length && numbers[end + 1] === (numbers[end] ?? 0) + 1) end += 1;
    ranges.push(end === start ? String(numbers[start]) : `${String(numbers[start])}:${String(numbers[end])}`);
    start = end + 1;
  }
  return ranges.join(',');
}

/** Index of the first element that is not below `value`. */
function lowerBound(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
