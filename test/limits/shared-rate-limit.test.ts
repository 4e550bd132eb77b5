import assert from 'node:assert/strict';
import { test } from 'node:test';
import { second } from '../../src/clock.ts';
import { createSharedRateLimit } from '../../src/limits/shared-rate-limit.ts';
import type { Meter } from '../../src/limits/shared-rate-limit.ts';
import { createTestClock } from '../harness/clock.ts';

function sharedLimit(meter: Meter) {
  const clock = createTestClock();
  const limit = createSharedRateLimit({
    name: 'messages',
    meter,
    perMinute: 60,
    burst: 3,
    maxKeys: 10,
    clock,
  });
  return { clock, limit };
}

test('the meter decides, and says for how long it is', async () => {
  const asked: unknown[] = [];
  const answers = [0, 1500.2];
  const { clock, limit } = sharedLimit(async (...question) => {
    asked.push(question);
    return answers.shift() ?? 0;
  });
  assert.deepEqual(await limit.take('a'), { ok: true });
  assert.deepEqual(await limit.take('b', 7), { ok: false, until: clock.now() + 1501 });
  assert.deepEqual(asked, [
    ['messages:a', 1, { intervalMs: 1000, burst: 3 }],
    ['messages:b', 7, { intervalMs: 1000, burst: 3 }],
  ]);
  assert.equal(clock.waiting, 0);
});

test('while it does not answer, the process goes by what it has granted itself', async () => {
  let away = false;
  const { clock, limit } = sharedLimit(() => (away ? Promise.reject(new Error('away')) : Promise.resolve(0)));
  assert.equal((await limit.take('a', 2)).ok, true);
  away = true;
  assert.equal((await limit.take('a')).ok, true);
  assert.deepEqual(await limit.take('a'), { ok: false, until: clock.now() + second }, 'no new burst');
  away = false;
  assert.equal((await limit.take('a')).ok, true);
});

test('it is waited for half a second', async () => {
  const { clock, limit } = sharedLimit(() => new Promise(() => {}));
  const taken = limit.take('a', 4);
  clock.advance(499);
  assert.equal(clock.waiting, 1);
  clock.advance(1);
  assert.deepEqual(await taken, { ok: false, until: clock.now() });
});
