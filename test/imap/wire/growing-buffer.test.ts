import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrowingBuffer } from '../../../src/imap/wire/growing-buffer.ts';
import { assertLinear } from '../../harness/linear.ts';

test('bytes are gathered in one piece and taken once', () => {
  const buffer = new GrowingBuffer();
  for (const text of ['', 'abc', 'd'.repeat(300), '']) buffer.add(Buffer.from(text));
  assert.equal(buffer.length, 303);
  assert.equal(buffer.bytes().toString(), `abc${'d'.repeat(300)}`);
  const taken = buffer.take();
  assert.equal(taken.toString(), `abc${'d'.repeat(300)}`);
  assert.equal(buffer.length, 0);
  buffer.add(Buffer.from('later'));
  assert.equal(taken.toString(), `abc${'d'.repeat(300)}`, 'what was taken is not written to again');
});

test('memory grows with what came, never past what was announced', () => {
  const room = (buffer: GrowingBuffer) => buffer.bytes().buffer.byteLength;
  const literal = new GrowingBuffer(1_000_000);
  literal.add(Buffer.from('x'));
  assert.ok(room(literal) <= 256, 'an announcement alone costs nothing');
  for (let sent = 1; sent < 1000; sent += 1) literal.add(Buffer.from('x'));
  assert.ok(room(literal) <= 2048);
  literal.add(Buffer.alloc(999_000));
  assert.equal(room(literal), 1_000_000);
});

test('single bytes cost linear time', () => {
  const byte = Buffer.from('x');
  assertLinear(
    'single bytes',
    40_000,
    (size) => size,
    (size) => {
      const buffer = new GrowingBuffer();
      for (let sent = 0; sent < size; sent += 1) buffer.add(byte);
    },
  );
});
