import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HashQueueFull, createHashQueue } from '../../src/accounts/hash-queue.ts';

describe('the queue of hashes', () => {
  test('runs so many at once, the others in their turn, and goes on after a failure', async () => {
    const queue = createHashQueue({ inFlight: 2, maxCost: 100 });
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const jobs = Array.from({ length: 7 }, (_, nth) =>
      queue.run(1, 1, async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        order.push(nth);
        if (nth === 3) throw new Error('broken');
        return nth;
      }),
    );
    const results = await Promise.allSettled(jobs);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : 'broken')),
      [0, 1, 2, 'broken', 4, 5, 6],
    );
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6]);
    assert.equal(most, 2);
  });

  test('is bounded by the work in it, by a share of it where one is given; an idle one takes anything', async () => {
    const queue = createHashQueue({ inFlight: 1, maxCost: 100 });
    let finish: () => void = () => {};
    const job = () => new Promise<void>((resolve) => (finish = resolve));
    const nothing = async () => {};
    const big = queue.run(1000, 0.5, job);
    await assert.rejects(queue.run(1, 1, nothing), HashQueueFull);
    finish();
    await big;
    const first = queue.run(40, 1, job);
    const second = queue.run(10, 0.5, nothing);
    await assert.rejects(queue.run(1, 0.5, nothing), HashQueueFull);
    const third = queue.run(50, 1, nothing);
    await assert.rejects(queue.run(1, 1, nothing), HashQueueFull);
    finish();
    await Promise.all([first, second, third]);
    await queue.run(50, 0.5, nothing);
    const failing = queue.run(100, 1, () => Promise.reject(new Error('broken')));
    await assert.rejects(failing, /broken/);
    await queue.run(100, 1, nothing);
  });
});
