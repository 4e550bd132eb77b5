import assert from 'node:assert/strict';
import { test } from 'node:test';
import { second } from '../../src/clock.ts';
import { createRateLimit } from '../../src/limits/rate-limit.ts';
import { createTestClock } from '../harness/clock.ts';

test('sixty a minute with burst ten is ten at once, then one a second', () => {
  const clock = createTestClock();
  const limit = createRateLimit({ perMinute: 60, burst: 10, maxKeys: 100, clock });
  const granted = () => limit.take('a').ok;
  for (let n = 1; n <= 10; n += 1) assert.equal(granted(), true, `message ${n}`);
  assert.deepEqual(limit.take('a'), { ok: false, until: clock.now() + second });
  assert.equal(limit.take('b').ok, true, 'another key has its own burst');

  clock.advance(second - 1);
  assert.equal(granted(), false);
  clock.advance(1);
  assert.equal(granted(), true);
  assert.equal(granted(), false);

  clock.advance(3600 * second);
  for (let n = 1; n <= 10; n += 1) assert.equal(granted(), true, `message ${n} after a rest`);
  assert.equal(granted(), false, 'a long rest gives no more than the burst');
});

test('a refusal costs nothing', () => {
  const clock = createTestClock();
  const limit = createRateLimit({ perMinute: 60, burst: 2, maxKeys: 10, clock });
  limit.take('a', 2);
  for (let n = 0; n < 50; n += 1) assert.equal(limit.take('a').ok, false);
  clock.advance(second);
  assert.equal(limit.take('a').ok, true);
});

test('a cost is taken whole or not at all, and one above the burst never', () => {
  const clock = createTestClock();
  const limit = createRateLimit({ perMinute: 60, burst: 10, maxKeys: 10, clock });
  assert.equal(limit.take('a', 7).ok, true);
  assert.deepEqual(limit.take('a', 5), { ok: false, until: clock.now() + 2 * second });
  assert.equal(limit.take('a', 3).ok, true);
  assert.deepEqual(limit.take('b', 11), { ok: false, until: clock.now() });
  assert.equal(limit.take('b', 10).ok, true);
});

test('an hourly rate is a fraction of a minute', () => {
  const clock = createTestClock();
  const limit = createRateLimit({ perMinute: 100 / 60, burst: 100, maxKeys: 10, clock });
  assert.equal(limit.take('a', 100).ok, true);
  clock.advance(35 * second);
  assert.equal(limit.take('a').ok, false);
  clock.advance(second);
  assert.equal(limit.take('a').ok, true);
});

test('keys are bounded: the rested go first, then the one that took longest ago', () => {
  const clock = createTestClock();
  const limit = createRateLimit({ perMinute: 60, burst: 1, maxKeys: 2, clock });
  limit.take('a');
  clock.advance(500);
  limit.take('b');
  limit.take('c');
  assert.equal(limit.take('b').ok, false, 'b is remembered');
  assert.equal(limit.take('c').ok, false, 'c is remembered');
  assert.equal(limit.take('a').ok, true, 'a was forgotten, which harms nobody else');
});
