import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBytesMatcher } from '../../src/imap/bytes-matcher.ts';
import { compileSearch } from '../../src/imap/search.ts';
import type { SearchFacts } from '../../src/imap/search.ts';
import { parseCommand } from '../../src/imap/wire/parse-command.ts';
import { parseHeader } from '../../src/message/header.ts';

const uids = [10, 20, 30];

function search(text: string) {
  const parsed = parseCommand([Buffer.from(`a SEARCH ${text}`)]);
  assert.ok('command' in parsed && parsed.command.name === 'SEARCH', text);
  return compileSearch(parsed.command.key, uids);
}

const message = Buffer.from(
  'From: Alice <alice@x.example>\r\nSubject: Hello\r\n  World\r\nDate: Fri, 1 Mar 2024 23:30:00 -0800\r\nX-Empty:\r\n\r\nThe quick brown fox\r\n',
);
const header = parseHeader(message);
const cheap: SearchFacts = {
  number: 2,
  uid: 20,
  modseq: 100,
  flags: ['\\Seen', '$Junk'],
  internalDate: Date.UTC(2024, 2, 2, 7, 30),
  size: message.length,
};

/** As a session asks: cheap facts, then the header, then the text. */
function answer(text: string): { answer: boolean; asked: 'nothing' | 'header' | 'text' } {
  const compiled = search(text);
  const first = compiled.test(cheap);
  if (first !== undefined) return { answer: first, asked: 'nothing' };
  const second = compiled.needs.header ? compiled.test({ ...cheap, header }) : undefined;
  if (second !== undefined) return { answer: second, asked: 'header' };
  assert.ok(compiled.needs.text);
  const scan = compiled.scan(header.size);
  for (const byte of message) scan.feed(Buffer.from([byte]));
  const last = compiled.test({ ...cheap, header, found: scan.result() });
  assert.ok(last !== undefined);
  const whole = compiled.scan(header.size);
  whole.feed(message);
  assert.deepEqual(whole.result(), scan.result());
  return { answer: last, asked: 'text' };
}

test('keys are answered from facts, and no more is asked for than decides', () => {
  const cases: readonly (readonly [string, boolean, 'nothing' | 'header' | 'text'])[] = [
    ['ALL', true, 'nothing'],
    ['RECENT', false, 'nothing'],
    ['SEEN', true, 'nothing'],
    ['UNSEEN', false, 'nothing'],
    ['KEYWORD $junk', true, 'nothing'],
    ['UNKEYWORD $Junk', false, 'nothing'],
    ['2', true, 'nothing'],
    ['1,3', false, 'nothing'],
    ['2:*', true, 'nothing'],
    ['UID 15:25', true, 'nothing'],
    ['UID *', false, 'nothing'],
    ['NOT UID 21:*', true, 'nothing'],
    ['ON 2-Mar-2024', true, 'nothing'],
    ['BEFORE 2-Mar-2024', false, 'nothing'],
    ['BEFORE 3-Mar-2024', true, 'nothing'],
    ['SINCE 2-Mar-2024', true, 'nothing'],
    ['SINCE 3-Mar-2024', false, 'nothing'],
    [`LARGER ${String(message.length)}`, false, 'nothing'],
    [`LARGER ${String(message.length - 1)}`, true, 'nothing'],
    [`SMALLER ${String(message.length)}`, false, 'nothing'],
    [`SMALLER ${String(message.length + 1)}`, true, 'nothing'],
    ['MODSEQ 100', true, 'nothing'],
    ['MODSEQ 101', false, 'nothing'],
    // The calendar date its writer gave, whatever the zone.
    ['SENTON 1-Mar-2024', true, 'header'],
    ['SENTBEFORE 1-Mar-2024', false, 'header'],
    ['SENTSINCE 1-Mar-2024', true, 'header'],
    ['FROM ALICE@', true, 'header'],
    ['FROM bob', false, 'header'],
    ['TO alice', false, 'header'],
    ['SUBJECT "hello  world"', true, 'header'],
    ['HEADER x-empty ""', true, 'header'],
    ['HEADER x-other ""', false, 'header'],
    ['BODY QUICK', true, 'text'],
    ['BODY alice', false, 'text'],
    ['TEXT alice', true, 'text'],
    ['BODY ""', true, 'text'],
    ['SEEN FROM alice BODY fox', true, 'text'],
    ['UNSEEN FROM alice BODY fox', false, 'nothing'],
    ['FROM bob BODY fox', false, 'header'],
    ['OR SEEN BODY fox', true, 'nothing'],
    ['OR UNSEEN BODY fox', true, 'text'],
    ['OR FROM alice BODY wolf', true, 'header'],
    ['NOT BODY fox', false, 'text'],
    ['NOT (FROM alice UNSEEN)', true, 'nothing'],
    ['BODY fox BODY wolf', false, 'text'],
    ['OR BODY wolf TEXT subject', true, 'text'],
  ];
  for (const [text, expected, asked] of cases) {
    assert.deepEqual(answer(text), { answer: expected, asked }, text);
  }
});

test('a search says what it may need', () => {
  assert.deepEqual(search('SEEN 1:5').needs, { header: false, text: false });
  assert.deepEqual(search('OR SEEN NOT FROM x').needs, { header: true, text: false });
  assert.deepEqual(search('(SEEN (NOT TEXT x))').needs, { header: false, text: true });
});

test('a scan ends as soon as nothing more can be found out', () => {
  const scan = search('TEXT alice TEXT hello').scan(header.size);
  assert.equal(scan.feed(message.subarray(0, 20)), false);
  assert.equal(scan.feed(message.subarray(20, 60)), true);
});

test('dates of mail are read in the forms that are found', () => {
  const sent = (date: string) =>
    search('SENTON 5-Feb-1999').test({ ...cheap, header: parseHeader(Buffer.from(`Date: ${date}\r\n\r\n`)) });
  for (const date of [
    'Fri, 5 Feb 1999 10:00:00 +0000',
    '05 Feb 1999 23:59:59 -1200',
    'Fri,  5  FEB 99 10:00 EST',
    'Friday, 5 February 1999 10:00',
    '5 Feb 099 1:00',
  ])
    assert.equal(sent(date), true, date);
  for (const date of ['', 'yesterday', '31 Feb 1999', '6 Feb 1999', '1999-02-05'])
    assert.equal(sent(date), false, date);
});

test('sets with thousands of ranges are looked up by halves', () => {
  const many = Array.from({ length: 10_000 }, (_, at) => String(at * 2 + 1)).join();
  const compiled = search(`NOT ${many}`);
  const started = performance.now();
  let found = 0;
  for (let number = 1; number <= 20_000; number += 1) if (compiled.test({ ...cheap, number })) found += 1;
  assert.equal(found, 10_000);
  assert.ok(performance.now() - started < 500);
});

test('bytes are found across chunks, without case in ASCII alone', () => {
  const found = (needle: string, ...chunks: readonly string[]) => {
    const matcher = createBytesMatcher(Buffer.from(needle, 'latin1'));
    return chunks.map((chunk) => matcher.feed(Buffer.from(chunk, 'latin1'))).at(-1) ?? false;
  };
  assert.ok(found('abcabd', 'xABCAB', 'CabD'));
  assert.ok(found('aab', 'aaa', 'aab'));
  assert.ok(!found('abc', 'ab', 'abab'));
  assert.ok(found('', ''));
  assert.ok(found('\xe9', 'caf\xe9'));
  assert.ok(!found('\xe9', 'CAF\xc9'));
  assert.ok(!found('[', '{'));
});

test('a body made to be slow costs linear time', () => {
  const body = Buffer.alloc(4_000_000, 'a');
  const started = performance.now();
  createBytesMatcher(Buffer.from(`${'a'.repeat(1000)}b`)).feed(body);
  // Naively four thousand million steps.
  assert.ok(performance.now() - started < 1000);
});
