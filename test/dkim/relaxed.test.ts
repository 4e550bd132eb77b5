import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { relaxedBodyHash, relaxedField } from '../../src/dkim/relaxed.ts';
import { assertLinear } from '../harness/linear.ts';
import { canonicalize } from '../harness/signed-mail.ts';

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('base64');
const latin1 = (text: string) => Buffer.from(text, 'latin1');

test('a field in relaxed form: RFC 6376 3.4.5', () => {
  assert.equal(relaxedField('a', 'X'), 'a:X\r\n');
  assert.equal(relaxedField('b', 'Y\t \tZ'), 'b:Y Z\r\n');
});

test('a body in relaxed form', () => {
  const cases: [string, string][] = [
    // RFC 6376 3.4.5
    [' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
    ['', ''],
    ['\r\n', ''],
    ['\r\n\r\n \t\r\n\t', ''],
    ['a', 'a\r\n'],
    ['a \t', 'a\r\n'],
    ['a\r\n \t', 'a\r\n'],
    ['\r\n\r\na\r\n', '\r\n\r\na\r\n'],
    ['a\r\n \r\n\r\nb\r\n \r\n', 'a\r\n\r\n\r\nb\r\n'],
    ['\ta\r\n', ' a\r\n'],
    ['a \r\r\n', 'a \r\r\n'],
    ['a \n b\r', 'a \n b\r\r\n'],
    ['\x00\xff \xa0\r\n', '\x00\xff \xa0\r\n'],
  ];
  for (const [body, relaxed] of cases)
    assert.equal(relaxedBodyHash(latin1(body)), sha256(latin1(relaxed)), JSON.stringify(body));
});

test('any body has the hash of the form that is written after the letter of the RFC', () => {
  const piece = fc.constantFrom('\r\n', ' ', '\t', 'a', '\r', '\n', '\xe9', '  ', 'x'.repeat(40), '\r\n\r\n');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const body = latin1(pieces.join(''));
      assert.equal(relaxedBodyHash(body), sha256(canonicalize(body, 'relaxed')));
    }),
    { numRuns: 2000 },
  );
});

test('words around the edge of a block', () => {
  for (const size of [64 * 1024 - 2, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 130 * 1024])
    for (const middle of [' ', '  ', '\t\r\n', ' \r\n \r\n'])
      for (const end of ['y', 'y'.repeat(40), 'y'.repeat(size)]) {
        const body = latin1(`${'x'.repeat(size)}${middle}${end}${'  a'.repeat(3)}\r\n\r\n`);
        assert.equal(relaxedBodyHash(body), sha256(canonicalize(body, 'relaxed')), `${size} ${middle}`);
      }
  const letters = latin1(' a\t'.repeat(100_000));
  assert.equal(relaxedBodyHash(letters), sha256(canonicalize(letters, 'relaxed')));
});

test('time grows with the size of the body and with nothing else in it', () => {
  for (const piece of ['a'.repeat(76) + '\r\n', '\r\n', ' ', ' \t', ' a\t', ' \r\n\t', '\r', '\n'])
    assertLinear(
      JSON.stringify(piece),
      200_000,
      (size) => latin1(piece.repeat(size / piece.length)),
      relaxedBodyHash,
    );
});
