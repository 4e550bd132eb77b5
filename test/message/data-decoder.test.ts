import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDataDecoder } from '../../src/message/data-decoder.ts';
import { dotStuff } from '../harness/smtp-client.ts';

/** Feeds `input` in pieces; `used` counts over all of them, -1 when there is no end. */
function decode(pieces: readonly Buffer[]) {
  const written: Buffer[] = [];
  const decoder = createDataDecoder((bytes) => written.push(Buffer.from(bytes)));
  let before = 0;
  for (const piece of pieces) {
    const used = decoder.push(piece);
    if (used >= 0) return { ...result(), used: before + used };
    before += piece.length;
  }
  return { ...result(), used: -1 };

  function result() {
    const { strayLineEnd, nul } = decoder;
    return { message: Buffer.concat(written).toString('latin1'), strayLineEnd, nul };
  }
}

const bytes = (text: string) => Buffer.from(text, 'latin1');
const whole = (text: string) => decode([bytes(text)]);
const byteByByte = (text: string) => decode([...bytes(text)].map((byte) => Buffer.from([byte])));

test('dots are unstuffed and the end is found, however the bytes are cut', () => {
  const table: readonly (readonly [string, string])[] = [
    ['.\r\n', ''],
    ['a\r\n.\r\n', 'a\r\n'],
    ['\r\n.\r\n', '\r\n'],
    ['..\r\n.\r\n', '.\r\n'],
    ['...\r\n.\r\n', '..\r\n'],
    // RFC 5321 4.5.2: the first dot goes from every line that has more than it, not only from a doubled one.
    ['.x\r\n.\r\n', 'x\r\n'],
    ['a\r\n..b\r\nc.\r\n.\r\n', 'a\r\n.b\r\nc.\r\n'],
    ['a.b\r\n..\r\n..\r\n.\r\n', 'a.b\r\n.\r\n.\r\n'],
    ['\xff\x80\r\n.\r\n', '\xff\x80\r\n'],
  ];
  for (const [input, message] of table) {
    const expected = { message, strayLineEnd: false, nul: false, used: input.length };
    assert.deepEqual(whole(input), expected, JSON.stringify(input));
    assert.deepEqual(byteByByte(input), expected, `${JSON.stringify(input)} byte by byte`);
    assert.deepEqual(whole(`${input}QUIT\r\n`), expected, `${JSON.stringify(input)} with more behind it`);
  }
});

test('nothing but CRLF . CRLF ends the message, and what looks like it is noted', () => {
  const fakes = [
    'a\n.\n', 'a\n.\r\n', 'a\r\n.\n', 'a\r.\r', 'a\r.\r\n', 'a\r\n.\r', 'a\n.\r', 'a\r\n.\r\r\n', 'a\r\n\r.\r\n',
    '.\n', '.\r', '\n.\r\n', '\r.\r\n', 'a\n\n.\r\n', 'a\r\n.\0\r\n', 'a\0\r\n.\n',
  ]; // prettier-ignore
  for (const fake of fakes) {
    for (const decoded of [whole, byteByByte]) {
      const { used, strayLineEnd, nul } = decoded(`${fake}b\r\n`);
      assert.equal(used, -1, JSON.stringify(fake));
      assert.ok(strayLineEnd || nul, `${JSON.stringify(fake)} is noted`);
      const { used: end } = decoded(`${fake}b\r\n.\r\n`);
      assert.equal(end, fake.length + 6, `${JSON.stringify(fake)} up to the true end`);
    }
  }
});

test('a NUL is noted', () => {
  assert.equal(whole('a\0b\r\n.\r\n').nul, true);
  assert.equal(whole('.\0\r\n.\r\n').nul, true);
  assert.equal(whole('ab\r\n.\r\n').nul, false);
});

test('any message of CRLF lines comes out as it went in, in any pieces', () => {
  const line = fc.array(fc.constantFrom(0x2e, 0x61, 0x20, 0xff, 0x80, 0x09), { maxLength: 6 });
  const message = fc
    .array(line, { maxLength: 8 })
    .map((lines) => lines.map((l) => `${String.fromCharCode(...l)}\r\n`).join(''));
  fc.assert(
    fc.property(message, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (text, sizes) => {
      const wire = dotStuff(text);
      const pieces: Buffer[] = [];
      for (let at = 0, n = 0; at < wire.length; n += 1) {
        const size = sizes[n % sizes.length] ?? 1;
        pieces.push(wire.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(decode(pieces), { message: text, strayLineEnd: false, nul: false, used: wire.length });
    }),
    { numRuns: 500 },
  );
});

test('any bytes at all: the end is the first CRLF . CRLF, cut or not', () => {
  const soup = fc
    .array(fc.constantFrom('\r', '\n', '.', 'a', '\0', '\r\n', '\r\n.\r\n'), { maxLength: 12 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(soup, (text) => {
      // The CRLF before the dot may be the one that ended the DATA command.
      const end = `\r\n${text}`.indexOf('\r\n.\r\n');
      const used = end < 0 ? -1 : end + 3;
      assert.equal(whole(text).used, used);
      assert.equal(byteByByte(text).used, used);
      const body = used < 0 ? text : text.slice(0, used - 3);
      const stray = /(?<!\r)\n|\r(?!\n)/.test(used < 0 ? body.replace(/\r$/, '') : body);
      assert.equal(whole(text).strayLineEnd, stray, JSON.stringify(text));
    }),
    { numRuns: 2000 },
  );
});
