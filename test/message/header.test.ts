import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  editFields,
  fieldsOf,
  MAX_FIELDS,
  MAX_HEADER_BYTES,
  parseHeader,
  withoutFields,
} from '../../src/message/header.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

test('a header is read field by field, folds and all, with byte offsets', () => {
  const message = bytes(
    'From: <a@b>\r\nSUBJECT:  one\r\n\ttwo \r\n  three \t\r\nX-8: \xe9\xa0\r\n\r\nbody: no\r\n',
  );
  const header = parseHeader(message);
  assert.equal(header.malformed, undefined);
  assert.deepEqual(
    header.fields.map(({ name, key, value }) => [name, key, value]),
    [
      ['From', 'from', '<a@b>'],
      ['SUBJECT', 'subject', 'one\ttwo   three'],
      ['X-8', 'x-8', '\xe9\xa0'],
    ],
  );
  assert.deepEqual(
    header.fields.map(({ start, end }) => message.toString('latin1', start, end)),
    ['From: <a@b>\r\n', 'SUBJECT:  one\r\n\ttwo \r\n  three \t\r\n', 'X-8: \xe9\xa0\r\n'],
  );
  assert.equal(message.toString('latin1', header.size), 'body: no\r\n');
});

test('the size ends behind the empty line, or with the message where there is none', () => {
  for (const [text, size, fields] of [
    ['', 0, 0],
    ['\r\n', 2, 0],
    ['\r\nA: b\r\n', 2, 0],
    ['A: b', 4, 1],
    ['A: b\r\n', 6, 1],
    ['A: b\r\n\r\n', 8, 1],
    ['A: b\r\n\r\n\r\n', 8, 1],
    ['A: b\n\nC: d', 6, 1],
    ['A:\r\n\r\n', 6, 1],
  ] as const) {
    const header = parseHeader(bytes(text));
    assert.deepEqual([header.size, header.fields.length], [size, fields], JSON.stringify(text));
  }
});

test('what another reader might see differently is called malformed, and the fields are still found', () => {
  for (const [text, problem, keys] of [
    ['From : a@b\r\n\r\n', 'space before the colon of a header field', ['from']],
    ['From\t: a@b\r\n\r\n', 'space before the colon of a header field', ['from']],
    ['From a@b Thu Jan 1\r\nTo: c@d\r\n\r\n', 'header line that is not a field', ['to']],
    [' folded: first\r\nTo: c@d\r\n\r\n', 'header line that is not a field', ['to']],
    [': nameless\r\nTo: c@d\r\n\r\n', 'header line that is not a field', ['to']],
    ['no colon here\r\n\r\n', 'header line that is not a field', []],
    ['X\xe9: a\r\n\r\n', 'header line that is not a field', []],
    ['X\0: a\r\n\r\n', 'header line that is not a field', []],
    ['A: b\nC: d\r\n\r\n', 'header line that ends in a bare line feed', ['a', 'c']],
    ['A: b\rC: d\r\n\r\n', 'bare carriage return in the header', ['a']],
    ['A: b\r\r\nC: d\r\n\r\n', 'bare carriage return in the header', ['a', 'c']],
  ] as const) {
    const header = parseHeader(bytes(text));
    assert.equal(header.malformed, problem, JSON.stringify(text));
    assert.deepEqual(
      header.fields.map((field) => field.key),
      keys,
      JSON.stringify(text),
    );
  }
});

test('a header beyond the bounds is malformed, and its end is still found', () => {
  const many = bytes('A: b\r\n'.repeat(MAX_FIELDS + 1) + '\r\nbody');
  assert.equal(parseHeader(many).malformed, 'header too large');
  assert.equal(parseHeader(many).fields.length, MAX_FIELDS);
  assert.equal(parseHeader(many).size, many.length - 4);
  assert.equal(parseHeader(bytes('A: b\r\n'.repeat(MAX_FIELDS) + '\r\nbody')).malformed, undefined);

  const long = bytes(`A: ${'x'.repeat(MAX_HEADER_BYTES)}\r\nB: c\r\n\r\nbody`);
  assert.equal(parseHeader(long).malformed, 'header too large');
  assert.equal(parseHeader(long).size, long.length - 4);

  const folded = bytes(`A: b\r\n${' \r\n'.repeat(MAX_HEADER_BYTES / 3)}\r\nbody`);
  assert.equal(parseHeader(folded).malformed, 'header too large');
  assert.equal(parseHeader(folded).size, folded.length - 4);

  const endless = bytes('A: b\r\n'.repeat(200_000));
  assert.equal(parseHeader(endless).size, endless.length);
});

test('fields go whole, whatever the case of their names, and every other byte stays', () => {
  const message = bytes(
    'DKIM-Signature: a\r\n\tb\r\nX:  y\r\nReceived: c\r\ndkim-signature: d\r\n\r\nDKIM-Signature: body',
  );
  const left = withoutFields(message, parseHeader(message), new Set(['dkim-signature', 'received']));
  assert.equal(left.toString('latin1'), 'X:  y\r\n\r\nDKIM-Signature: body');
  assert.equal(
    withoutFields(message, parseHeader(message), new Set(['absent'])),
    message,
    'the very same buffer',
  );

  const edited = editFields(message, parseHeader(message), ({ key }) =>
    key === 'x' ? 'X: z\r\n' : undefined,
  );
  assert.equal(edited.toString('latin1'), message.toString('latin1').replace('X:  y', 'X: z'));
});

test('fields are found by their name in the order of the message', () => {
  const header = parseHeader(bytes('To: 1\r\nFrom: x\r\ntO: 2\r\n\r\n'));
  assert.deepEqual(
    fieldsOf(header, 'to').map((field) => field.value),
    ['1', '2'],
  );
  assert.deepEqual(fieldsOf(header, 'cc'), []);
});
