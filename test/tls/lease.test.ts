import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createLease } from '../../src/tls/lease.ts';
import { createTestClock } from '../harness/clock.ts';
import { createMemoryValues } from '../harness/memory-values.ts';

test('a lease is one process’s until it gives it back or its time is over', async () => {
  const clock = createTestClock();
  const values = createMemoryValues();
  const processes = [1, 2, 3].map(() => createLease(values, 'lease', clock, (n) => randomBytes(n)));
  const takeAll = async () =>
    (await Promise.all(processes.map((lease) => lease.take(1000)))).filter((taken) => taken !== undefined);

  const [first, ...more] = await takeAll();
  assert.ok(first);
  assert.equal(more.length, 0);
  clock.advance(999);
  assert.equal((await takeAll()).length, 0);
  await first();
  const [second] = await takeAll();
  assert.ok(second);
  clock.advance(1001);
  assert.equal((await takeAll()).length, 1);
  await second();
  assert.equal((await takeAll()).length, 0, 'one that is over is nobody’s to give back');
});
