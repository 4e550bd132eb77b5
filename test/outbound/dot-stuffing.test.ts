import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stuffDots, stuffedLength } from '../../src/outbound/dot-stuffing.ts';
import { dotStuff } from '../harness/smtp-client.ts';

const stuffed = (text: string) =>
  Buffer.concat([...stuffDots(Buffer.from(text, 'latin1'))]).toString('latin1');

test('a dot at the beginning of a line gets another one, no other does', () => {
  assert.equal(stuffed('a\r\n.b\r\n'), 'a\r\n..b\r\n');
  assert.equal(stuffed('.a\r\n'), '..a\r\n');
  assert.equal(stuffed('a.\r\nb .c\r\n'), 'a.\r\nb .c\r\n');
  assert.equal(stuffed('a\n.b\r.c\r\n'), 'a\n.b\r.c\r\n', 'a line begins behind CRLF alone');
  assert.equal(stuffed('a\r\n.\r\nb\r\n'), 'a\r\n..\r\nb\r\n', 'the end of DATA in the middle');
  assert.equal(stuffed('.\r\n.\r\n.\r\n'), '..\r\n..\r\n..\r\n');
});

test('the last line ends in CRLF, added where it does not', () => {
  assert.equal(stuffed('a'), 'a\r\n');
  assert.equal(stuffed('a\r'), 'a\r\r\n');
  assert.equal(stuffed('a\r\n.'), 'a\r\n..\r\n');
  assert.equal(stuffed(''), '');
});

test('of whatever bytes: as the harness has it, and its length is known before', () => {
  const text = fc.array(fc.constantFrom('\r', '\n', '\r\n', '.', 'a', '\r\n.'), { maxLength: 60 });
  fc.assert(
    fc.property(text, (pieces) => {
      const message = pieces.join('');
      const end = message === '' ? '.\r\n' : '\r\n.\r\n';
      const want = dotStuff(message).toString('latin1').slice(0, -3);
      assert.ok(dotStuff(message).toString('latin1').endsWith(end));
      assert.equal(stuffed(message), want);
      assert.equal(stuffedLength(Buffer.from(message)), want.length);
    }),
  );
});

test('without dots nothing is copied, and with nothing but dots there is no crowd of pieces', () => {
  const plain = Buffer.alloc(1_000_000, 'abc\r\n');
  assert.ok([...stuffDots(plain)].every((piece) => piece.buffer === plain.buffer));
  const dots = Buffer.alloc(3_000_000, '\r\n.');
  assert.equal(stuffedLength(dots), 4_000_002);
  const pieces = [...stuffDots(dots)];
  assert.ok(pieces.length < 100, `${pieces.length}`);
  assert.ok(Buffer.concat(pieces).equals(dotStuff(dots).subarray(0, -3)), 'at the edges of blocks, too');
});
