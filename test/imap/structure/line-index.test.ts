import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLineIndex } from '../../../src/imap/structure/line-index.ts';

test('line feeds are counted between any two places', () => {
  // Runs of line feeds of all lengths, over several steps of the index.
  const message = Buffer.from(
    Array.from({ length: 200 }, (_, at) => 'x'.repeat(at) + '\n'.repeat(at % 7)).join(''),
  );
  const lines = createLineIndex(message);
  const naive = (start: number, end: number) => message.toString('latin1', start, end).split('\n').length - 1;
  const places = [0, 1, 4095, 4096, 4097, 8191, 8192, 12_288, 20_000, message.length - 1, message.length];
  for (const start of places) {
    for (const end of places.filter((place) => place >= start))
      assert.equal(lines.between(start, end), naive(start, end), `${String(start)} to ${String(end)}`);
  }
  assert.equal(createLineIndex(Buffer.alloc(0)).between(0, 0), 0);
  assert.equal(createLineIndex(Buffer.alloc(4096, '\n')).between(0, 4096), 4096);
});
