import assert from 'node:assert/strict';
import { test } from 'node:test';
import { minute } from '../../src/clock.ts';
import { createKnownAbsent, MAX_HOSTS } from '../../src/outbound/known-absent.ts';
import { createTestClock } from '../harness/clock.ts';

test('a host is remembered for half an hour from the last time on', () => {
  const clock = createTestClock();
  const absent = createKnownAbsent(clock);
  assert.equal(absent.has('a.test'), false);
  absent.add('a.test');
  clock.advance(20 * minute);
  assert.equal(absent.has('a.test'), true);
  absent.add('a.test');
  clock.advance(20 * minute);
  assert.equal(absent.has('a.test'), true);
  clock.advance(10 * minute);
  assert.equal(absent.has('a.test'), false);
  assert.equal(absent.has('b.test'), false);
});

test('it can be forgotten', () => {
  const absent = createKnownAbsent(createTestClock());
  absent.add('a.test');
  absent.remove('a.test');
  assert.equal(absent.has('a.test'), false);
});

test('so many are remembered, and the one longest known goes', () => {
  const absent = createKnownAbsent(createTestClock());
  for (let n = 0; n < MAX_HOSTS; n++) absent.add(`${n}.test`);
  absent.add('0.test');
  absent.add('more.test');
  assert.equal(absent.has('0.test'), true);
  assert.equal(absent.has('1.test'), false);
  assert.equal(absent.has('2.test'), true);
  assert.equal(absent.has('more.test'), true);
});
