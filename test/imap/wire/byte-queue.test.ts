import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteQueue } from '../../../src/imap/wire/byte-queue.ts';
import { assertLinear } from '../../harness/linear.ts';

function queueOf(...chunks: readonly string[]): ByteQueue {
  const queue = new ByteQueue();
  for (const chunk of chunks) queue.push(Buffer.from(chunk));
  return queue;
}

test('bytes come out as they went in, at most one chunk at a time', () => {
  const queue = queueOf('abc', '', 'de', 'f');
  assert.equal(queue.length, 6);
  assert.deepEqual(
    [2, 9, 1, 9, 9].map((most) => queue.take(most).toString()),
    ['ab', 'c', 'd', 'e', 'f'],
  );
  assert.equal(queue.length, 0);
  assert.equal(queue.take(5).length, 0);
});

test('a line ends at its line feed, at the bound, or at the end of a chunk', () => {
  const queue = queueOf('ab\ncd', 'e\n\nlong');
  const line = (most = 100) => {
    const { part, ended } = queue.takeLine(most);
    return [part.toString(), ended];
  };
  assert.deepEqual(
    [line(), line(), line(), line(), line(3), line(1), line()],
    [
      ['ab\n', true],
      ['cd', false],
      ['e\n', true],
      ['\n', true],
      ['lon', false],
      ['g', false],
      ['', false],
    ],
  );
});

test('everything can be taken back, however much was used up', () => {
  const queue = new ByteQueue();
  for (let chunk = 0; chunk < 1000; chunk += 1) queue.push(Buffer.from('ab'));
  for (let taken = 0; taken < 501; taken += 1) queue.take(1);
  assert.equal(queue.length, 1499);
  assert.equal(queue.takeAll().toString(), `b${'ab'.repeat(749)}`);
  assert.equal(queue.length, 0);
  queue.push(Buffer.from('x'));
  assert.equal(queue.take(1).toString(), 'x');
});

test('many small chunks, and many short takes of a big one, cost linear time', () => {
  assertLinear(
    'chunks',
    20_000,
    (size) => size,
    (size) => {
      const queue = new ByteQueue();
      for (let chunk = 0; chunk < size; chunk += 1) queue.push(Buffer.from('x'));
      while (queue.length > 0) queue.take(1);
    },
  );
  assertLinear(
    'takes',
    20_000,
    (size) => Buffer.alloc(size, 'x'),
    (big) => {
      const queue = new ByteQueue();
      queue.push(big);
      while (queue.length > 0) queue.takeLine(1);
    },
  );
});
