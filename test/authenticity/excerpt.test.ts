import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutExcerpt } from '../../src/authenticity/excerpt.ts';
import type { Candidate } from '../../src/authenticity/excerpt.ts';
import { readSignature } from '../../src/authenticity/signature.ts';
import { fieldsOf, parseHeader } from '../../src/message/header.ts';

function signature(names: string, selector = 's'): string {
  return `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=${selector};\r\n\th=${names}; bh=AA; b=AA\r\n`;
}

/** The excerpt of a message for all its signatures, as text. */
function cut(text: string) {
  const message = Buffer.from(text, 'latin1');
  const header = parseHeader(message);
  const candidates = fieldsOf(header, 'dkim-signature').flatMap((field): Candidate[] => {
    const read = readSignature(field.value);
    return 'problem' in read ? [] : [{ field, signature: read }];
  });
  const excerpt = cutExcerpt(message, header, candidates, candidates);
  const selectors = (some: readonly Candidate[]) => some.map((one) => one.signature.selector);
  return {
    header: excerpt.header.toString('latin1'),
    chosen: selectors(excerpt.chosen),
    shown: selectors(excerpt.shown),
    problems: [...excerpt.problems.values()],
    bodyHashes: excerpt.bodyHashes,
  };
}

test('an excerpt holds the signatures and every occurrence of what they sign, byte for byte, in order', () => {
  const one = signature('from:SUBJECT');
  const two = signature('from:to', 'two');
  assert.deepEqual(
    cut(
      `X-A: 1\r\n${one}Subject: a\r\n \xff\t b \r\nX-B: 2\r\n${two}From: a@a.test\r\nTo: b\r\nSUBJECT: c\r\n\r\nbody`,
    ),
    {
      header: `${one}Subject: a\r\n \xff\t b \r\n${two}From: a@a.test\r\nTo: b\r\nSUBJECT: c\r\n`,
      chosen: ['s', 'two'],
      shown: ['s', 'two'],
      problems: [],
      bodyHashes: 1,
    },
  );
});

test('a signature counts only where it covers every From', () => {
  const twice = 'From: a@a.test\r\nX: 1\r\nFROM: eve@a.test\r\n\r\n';
  assert.deepEqual(cut(`${signature('from')}${twice}`).problems, ['not every From is signed']);
  assert.deepEqual(cut(`${signature('from:from')}${twice}`).problems, []);
});

test('a candidate that is left out leaves nothing in the excerpt', () => {
  const long = `X-Long: ${'x'.repeat(200_000)}\r\n`;
  const good = signature('from', 'good');
  const { header, chosen, problems } = cut(`${signature('from:x-long')}${good}${long}From: a@a.test\r\n\r\n`);
  assert.equal(header, `${good}From: a@a.test\r\n`);
  assert.deepEqual(chosen, ['good']);
  assert.deepEqual(problems, ['signs too much header']);
});

test('signatures that are signed are shown in full or not at all', () => {
  const outer = signature('from:dkim-signature', 'outer');
  const inner = signature('from', 'inner');
  const both = cut(`${outer}${inner}From: a@a.test\r\n\r\n`);
  assert.deepEqual([both.shown, both.problems], [['outer', 'inner'], []]);
  const unreadable = cut(`${outer}DKIM-Signature: no\r\nFrom: a@a.test\r\n\r\n`);
  assert.deepEqual([unreadable.shown, unreadable.problems], [[], ['signs signatures that cannot be read']]);
});

test('the last line of a message that is all header gets its line end', () => {
  assert.equal(cut(`${signature('from')}From: a@a.test`).header, `${signature('from')}From: a@a.test\r\n`);
});
