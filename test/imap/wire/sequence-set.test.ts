import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SequenceSet } from '../../../src/imap/wire/sequence-set.ts';
import {
  formatSequenceSet,
  MAX_RANGES,
  numberOfUid,
  numbersInSet,
  parseSequenceSet,
  spansOf,
  uidsInSet,
} from '../../../src/imap/wire/sequence-set.ts';

function set(text: string): SequenceSet {
  const parsed = parseSequenceSet(text);
  assert.ok(parsed, text);
  return parsed;
}

test('a sequence set is numbers and ranges, with * on either side', () => {
  assert.deepEqual(set('1'), [{ from: 1, to: 1 }]);
  assert.deepEqual(set('4:2,*,5:*,*:4294967295'), [
    { from: 4, to: 2 },
    { from: '*', to: '*' },
    { from: 5, to: '*' },
    { from: '*', to: 4294967295 },
  ]);
  for (const bad of [
    '',
    ',',
    '1,',
    ',1',
    '0',
    '01',
    '1:0',
    '-1',
    '1:',
    ':1',
    '1:2:3',
    '4294967296',
    '99999999999',
    '1 ',
    '$',
    '**',
    '1..2',
    'a',
  ])
    assert.equal(parseSequenceSet(bad), undefined, bad);
});

test('a set of too many ranges is none', () => {
  assert.equal(parseSequenceSet('1,'.repeat(MAX_RANGES - 1) + '1')?.length, MAX_RANGES);
  assert.equal(parseSequenceSet('1,'.repeat(MAX_RANGES) + '1'), undefined);
});

test('spans are ascending and do not overlap', () => {
  assert.deepEqual(spansOf(set('7,1:3,2:5,9:8,6'), 100), [{ first: 1, last: 9 }]);
  assert.deepEqual(spansOf(set('10:20,1,15:30,40'), 100), [
    { first: 1, last: 1 },
    { first: 10, last: 30 },
    { first: 40, last: 40 },
  ]);
});

test('UIDs in a set: those that exist, and * is the highest', () => {
  const uids = [2, 3, 5, 8, 13];
  const cases: readonly (readonly [string, readonly number[]])[] = [
    ['1:500', uids],
    ['1:*', uids],
    ['*:1', uids],
    ['*', [13]],
    // RFC 9051: 559:* always has the highest UID in it.
    ['559:*', [13]],
    ['*:559', [13]],
    ['3:5,2', [2, 3, 5]],
    ['4', []],
    ['14:20', []],
    ['1', []],
    ['4:6,5', [5]],
  ];
  for (const [text, expected] of cases) assert.deepEqual(uidsInSet(set(text), uids), expected, text);
  assert.deepEqual(uidsInSet(set('1:*'), []), []);
  assert.deepEqual(uidsInSet(set('*'), []), []);
});

test('message numbers in a set become UIDs, and numbers that do not exist are told', () => {
  const uids = [2, 3, 5, 8, 13];
  const cases: readonly (readonly [string, readonly number[], boolean])[] = [
    ['1', [2], false],
    ['2:3,5', [3, 5, 13], false],
    ['*', [13], false],
    ['4:*', [8, 13], false],
    ['4:9', [8, 13], true],
    ['6', [], true],
    ['7:*', [13], true],
  ];
  for (const [text, expected, exceeds] of cases)
    assert.deepEqual(numbersInSet(set(text), uids), { uids: expected, exceeds }, text);
  assert.deepEqual(numbersInSet(set('1:*'), []), { uids: [], exceeds: true });
});

test('the number of a UID is its place', () => {
  assert.deepEqual(
    [2, 3, 13, 1, 4, 14].map((uid) => numberOfUid([2, 3, 13], uid)),
    [1, 2, 3, 0, 0, 0],
  );
});

test('numbers are written as ranges, and order is kept', () => {
  assert.equal(formatSequenceSet([1, 2, 3, 7, 9, 10]), '1:3,7,9:10');
  assert.equal(formatSequenceSet([5]), '5');
  assert.equal(formatSequenceSet([]), '');
  assert.equal(formatSequenceSet([4, 3]), '4,3');
});

test('2000 ranges over 50 000 UIDs take milliseconds', () => {
  const uids = Array.from({ length: 50_000 }, (_, at) => at + 1);
  const wide = set(Array.from({ length: 2000 }, () => '1:*').join());
  const narrow = set(
    Array.from({ length: 2000 }, (_, at) => `${String(at * 20 + 1)}:${String(at * 20 + 5)}`).join(),
  );
  const started = performance.now();
  assert.equal(uidsInSet(wide, uids).length, 50_000);
  assert.equal(uidsInSet(narrow, uids).length, 10_000);
  assert.equal(numbersInSet(narrow, uids).uids.length, 10_000);
  // imap-core took 11.5 s (wildduck.md 3.3).
  assert.ok(performance.now() - started < 500);
});
