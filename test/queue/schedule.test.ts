import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day, hour, minute } from '../../src/clock.ts';
import { JITTER, inWords, nextTry } from '../../src/queue/schedule.ts';

const start = Date.UTC(2026, 0, 2, 12);

/** Every try of a recipient that is never reached, in milliseconds since it was accepted. */
function tries(lifetime: number, chance: number): number[] {
  const times = [0];
  for (let attempts = 0; attempts < 1000; attempts++) {
    const now = start + (times.at(-1) ?? 0);
    const next = nextTry({ attempts, queuedAt: start }, now, lifetime, chance);
    if (next === undefined) return times;
    times.push(next - start);
  }
  throw new Error('never given up');
}

test('after 1, 2, 5, 15 and 30 minutes, then each hour, then every two, until the lifetime ends', () => {
  const times = tries(2 * day, 0.5);
  const waits = times.slice(1).map((time, index) => (time - (times[index] ?? 0)) / minute);
  assert.deepEqual(waits.slice(0, 11), [1, 2, 5, 15, 30, 60, 60, 60, 120, 120, 120]);
  assert.equal(times.at(-1), 2 * day, 'the last try is at the very end');
});

test('each wait is longer or shorter by a tenth at most', () => {
  for (const chance of [0, 0.25, 0.999]) {
    const wait = (nextTry({ attempts: 5, queuedAt: start }, start, 2 * day, chance) ?? 0) - start;
    assert.ok(wait >= hour * (1 - JITTER) && wait <= hour * (1 + JITTER), String(wait));
  }
  assert.notEqual(
    nextTry({ attempts: 5, queuedAt: start }, start, 2 * day, 0),
    nextTry({ attempts: 5, queuedAt: start }, start, 2 * day, 0.9),
  );
});

test('at the end of its life it is given up, and not before', () => {
  const row = { attempts: 40, queuedAt: start };
  assert.equal(nextTry(row, start + 2 * day - 1, 2 * day, 0.5), start + 2 * day);
  assert.equal(nextTry(row, start + 2 * day, 2 * day, 0.5), undefined);
});

test('a time in words', () => {
  assert.deepEqual([10, minute, 40 * minute, 3 * hour, 2 * day].map(inWords), [
    '1 minute',
    '1 minute',
    '40 minutes',
    '3 hours',
    '2 days',
  ]);
});
