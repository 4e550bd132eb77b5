import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBase64 } from '../../src/message/base64.ts';
import { decodeStrictly, parseTransferEncoding } from '../../src/message/transfer-encoding.ts';

const decode = (text: string, encoding: 'base64' | 'quoted-printable') =>
  decodeStrictly(Buffer.from(text, 'latin1'), encoding)?.toString('latin1');

test('an encoding is known by its name in any case, and 7bit without one', () => {
  for (const name of ['', '7bit', '8BIT', 'Binary'])
    assert.equal(parseTransferEncoding(name), 'identity', name);
  assert.equal(parseTransferEncoding('BASE64'), 'base64');
  assert.equal(parseTransferEncoding('Quoted-Printable'), 'quoted-printable');
  for (const name of ['x-uuencode', '7bit, base64', 'base64;', '"base64"', 'base64 (c)']) {
    assert.equal(parseTransferEncoding(name), undefined, name);
  }
});

test('a body that is not encoded is not copied', () => {
  const body = Buffer.from('text');
  assert.equal(decodeStrictly(body, 'identity'), body);
});

test('base64 and quoted-printable are decoded', () => {
  for (const [text, result] of [
    ['', ''],
    ['YQ==', 'a'],
    ['YWI=\r\n\r\n', 'ab'],
    ['\r\nYW\r\nJj\r\n', 'abc'],
    ['Y\r\nQ\r\n==', 'a'],
  ] as const) {
    assert.equal(decode(text, 'base64'), result, text);
  }
  for (const [text, result] of [
    ['', ''],
    ['a=3Db=3db\r\nc', 'a=b=b\r\nc'],
    ['soft=\r\n break=\r\n', 'soft break'],
    ['a\tb =20\r\n', 'a\tb  \r\n'],
    ['=E9=00', '\xe9\0'],
  ] as const) {
    assert.equal(decode(text, 'quoted-printable'), result, text);
  }
});

test('what a lenient reader passes over in an encoded body is refused', () => {
  for (const text of [
    'YQ',
    'Y',
    'YQ=',
    'YQ==YQ==',
    'YQ==x',
    'YR==',
    'Y Q==',
    '!YQ==',
    'YQ=\r\n=',
    'YWJj\n',
    'YWJj=',
    '==',
    'YWJj\r',
  ]) {
    assert.equal(decode(text, 'base64'), undefined, JSON.stringify(text));
  }
  for (const text of [
    '=',
    '=4',
    '=XY',
    'a=',
    'a= \r\n',
    'a \r\n',
    'a\t\r\n',
    'a\nb',
    'a\rb',
    '\xe9',
    '\0',
    '=\n',
  ]) {
    assert.equal(decode(text, 'quoted-printable'), undefined, JSON.stringify(text));
  }
});

function inLines(text: string, lineSize: number): string {
  const lines = [];
  for (let at = 0; at < text.length; at += lineSize) lines.push(text.slice(at, at + lineSize));
  return lines.join('\r\n');
}

test('base64 of any size comes in slices that are the whole', () => {
  for (const size of [1, 2, 3, 49_150, 49_151, 49_152, 49_153, 200_001]) {
    const data = Buffer.from(Array.from({ length: size }, (_, at) => (at * 31) >> 2));
    for (const lineSize of [76, 61, data.length * 2]) {
      const text = Buffer.from(inLines(data.toString('base64'), lineSize));
      const slices: Buffer[] = [];
      assert.equal(
        decodeBase64(text, 0, text.length, (slice) => slices.push(Buffer.from(slice))),
        text.length,
      );
      assert.ok(Buffer.concat(slices).equals(data), `${size} bytes`);
    }
  }
});
