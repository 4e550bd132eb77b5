import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { minute, second } from '../../src/clock.ts';
import type { RecipientOutcome } from '../../src/outbound/consignment.ts';
import { LEASE, RENEW_EVERY } from '../../src/queue/leases.ts';
import { ATTEMPT_TIME, OTHERS_FIRST } from '../../src/queue/worker.ts';
import type { Queue, QueueBatch } from '../../src/store/contract.ts';
import { delivered, refused, until, useWorker } from './worker-at-hand.ts';

// The timeout is for a run that fails: a test may then wait for a timer that is never set.
describe('claims of the queue', { timeout: 60_000 }, () => {
  const at = useWorker();

  /** What another process does that finds the rows due; fails where there is nothing due. */
  const claimElsewhere = async (): Promise<QueueBatch> => {
    const wish = { limit: 1, perDestination: 1, rowsPerBatch: 100, leaseMs: LEASE, except: [] };
    const [batch] = await at.store.queue.claim(at.clock.now(), wish);
    assert.ok(batch, 'another process finds it due');
    return batch;
  };
  const dueElsewhere = async () => ((await at.store.queue.nextDue([])) ?? Infinity) <= at.clock.now();
  /** Lets time pass in steps, so that whoever waits for the store is not late by all of it. */
  const pass = async (ms: number, step = second) => {
    for (let passed = 0; passed < ms; passed += step) {
      at.clock.advance(step);
      // Its answer comes after those of all that was asked before it.
      for (let turn = 0; turn < 2; turn++) await at.store.ping();
    }
  };

  test('what a killed process had is tried again when its lease is over', async () => {
    await at.accept(['bob@b.test']);
    const wish = { limit: 1, perDestination: 1, rowsPerBatch: 100, leaseMs: LEASE, except: [] };
    assert.equal((await at.store.queue.claim(at.clock.now(), wish)).length, 1);
    const { worker, sendings } = at.start();
    await using _worker = worker;
    await until(() => at.clock.nextDue !== undefined, 'it waits');
    assert.deepEqual(sendings, []);
    for (let n = 0; n <= LEASE / minute && sendings.length === 0; n++) {
      at.clock.advance(minute);
      await until(() => sendings.length > 0 || at.clock.nextDue !== undefined, 'it looks');
    }
    await until(() => sendings.length === 1, 'it is under way');
  });

  test('a try may take as long as it may: its claim is renewed, with all others in one call', async () => {
    await at.accept(['bob@b.test', 'carol@c.test']);
    const { worker, sendings, log, watch } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 2, 'both are under way');
    for (let passed = RENEW_EVERY; passed < ATTEMPT_TIME; passed += RENEW_EVERY) {
      await pass(RENEW_EVERY, RENEW_EVERY);
      assert.equal(watch.renewed.length, passed / RENEW_EVERY);
      assert.equal(await at.store.queue.nextDue([]), at.clock.now() + LEASE, 'nobody else finds them due');
    }
    assert.ok(watch.renewed.every((count) => count === 2));
    for (const one of sendings) one.answer();
    await until(() => watch.settled === 2, 'both are settled');
    assert.deepEqual(log, [`delivered 1 smtp ${ATTEMPT_TIME - RENEW_EVERY}`, log[0]]);
    assert.equal(sendings.length, 2);
  });

  test('tries that are over before have nothing renewed, however many follow one another', async () => {
    const { worker, sendings, watch, wake } = at.start();
    await using _worker = worker;
    for (let n = 0; n < 8; n++) {
      await at.accept([`bob${n}@b.test`]);
      wake();
      await until(() => sendings.length === n + 1, 'it is under way');
      await pass(RENEW_EVERY / 3, RENEW_EVERY / 3);
      // The one before the last.
      sendings[n - 1]?.answer();
      await until(() => watch.settled === n, 'it is settled');
    }
    assert.deepEqual(watch.renewed, []);
  });

  test('a claim that was lost cuts its try off: nothing is settled, bounced or tried again here', async () => {
    await at.accept(['bob@b.test', 'bea@b.test']);
    const { worker, sendings, bounces, log, watch } = at.start({
      send: (consignment, signal) =>
        new Promise((resolve) => {
          const answer = () => resolve([delivered, refused]);
          sendings.push({ consignment, signal, answer });
          signal.addEventListener('abort', answer);
        }),
    });
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    watch.down = true;
    await pass(LEASE - second);
    assert.equal(await dueElsewhere(), false);
    await pass(second);
    const other = await claimElsewhere();
    assert.equal(sendings[0]?.signal.aborted, false, 'nothing is known yet');
    watch.down = false;
    await pass(10 * second);
    await until(() => log.includes('lost b.test 2'), 'it is broken off');
    assert.equal(sendings[0]?.signal.aborted, true);
    await pass(OTHERS_FIRST);
    assert.deepEqual([watch.settled, bounces.length, sendings.length], [0, 0, 1]);
    await at.store.queue.settle(other, [
      { kind: 'retry', at: at.clock.now() + minute, reason: 'the other' },
      { kind: 'retry', at: at.clock.now() + minute, reason: 'the other' },
    ]);
    assert.deepEqual(
      (await at.rows('b.test')).map(({ attempts, reason }) => [attempts, reason]),
      [
        [1, 'the other'],
        [1, 'the other'],
      ],
    );
  });

  test('nothing is bounced by two: a claim that was lost while a bounce could not be kept ends it', async () => {
    await at.accept(['bob@b.test']);
    const { worker, sendings, bounces, log, watch } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    watch.down = watch.failBounce = true;
    sendings[0]?.answer(refused);
    await pass(LEASE);
    await claimElsewhere();
    watch.down = watch.failBounce = false;
    await pass(10 * second);
    await until(() => log.includes('lost b.test 1'), 'it is broken off');
    assert.deepEqual([bounces.length, watch.settled], [0, 0]);
  });

  test('a store that is away for less than a lease costs no claim: what was delivered is settled, the rest goes on', async () => {
    await at.accept(['bob@b.test', 'carol@c.test']);
    const { worker, sendings, log, watch } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 2, 'both are under way');
    await pass(RENEW_EVERY - second);
    watch.down = true;
    sendings[0]?.answer();
    await pass(LEASE - RENEW_EVERY);
    assert.equal(await dueElsewhere(), false);
    watch.down = false;
    await pass(10 * second);
    await until(() => watch.settled === 1, 'what was delivered is settled');
    await pass(LEASE);
    assert.equal(await dueElsewhere(), false);
    sendings[1]?.answer();
    await until(() => watch.settled === 2, 'the other one is, too');
    assert.equal(sendings.length, 2);
    assert.equal(log.filter((line) => line.startsWith('delivered')).length, 2);
  });

  test('a try whose lease ended while the store was away, unanswered, goes on and is settled where nobody took it', async () => {
    await at.accept(['bob@b.test']);
    const { worker, sendings, log, watch } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    watch.down = true;
    await pass(3 * LEASE, 5 * second);
    assert.equal(await dueElsewhere(), true);
    assert.equal(sendings[0]?.signal.aborted, false, 'the other side may have taken it already');
    watch.down = false;
    await pass(10 * second);
    assert.equal(await dueElsewhere(), false, 'it holds again');
    await pass(OTHERS_FIRST);
    sendings[0]?.answer();
    await until(() => watch.settled === 1, 'it is settled');
    assert.equal(sendings.length, 1);
    assert.equal(log.at(-1)?.startsWith('delivered 1'), true, log.at(-1));
  });

  test('after the store was away for longer, those who still live come first', async () => {
    await at.accept(['bob@b.test']);
    const before = await claimElsewhere();
    const { worker, sendings, watch } = at.start();
    await using _worker = worker;
    await until(() => at.clock.nextDue !== undefined, 'it waits');
    watch.down = true;
    await pass(LEASE);
    watch.down = false;
    await pass(10 * second);
    assert.equal(await dueElsewhere(), true);
    assert.deepEqual(sendings, [], 'it is not taken for dead');
    assert.deepEqual(await at.store.queue.renew(at.clock.now(), [before], LEASE), []);
    await pass(LEASE - second);
    assert.deepEqual(sendings, []);
    await pass(second);
    await until(() => sendings.length === 1, 'now it is');
  });

  test('a process that stood still does not claim what it has under way itself', async () => {
    await at.accept(['bob@b.test']);
    const { worker, sendings, watch, wake } = at.start();
    await using _worker = worker;
    await until(() => sendings.length === 1, 'it is under way');
    // All timers at once, and late.
    at.clock.advance(3 * LEASE);
    wake();
    await pass(LEASE);
    assert.equal(sendings.length, 1);
    sendings[0]?.answer();
    await until(() => watch.settled === 1, 'it is settled');
  });

  test('nothing is begun under a claim that came too late', async () => {
    await at.accept(['bob@b.test']);
    const { queue } = at.store;
    const late: Queue = {
      ...queue,
      async claim(...given) {
        const batches = await queue.claim(...given);
        if (batches.length > 0) {
          at.clock.advance(LEASE);
          await claimElsewhere();
        }
        return batches;
      },
    };
    const { worker, sendings, log } = at.start({ store: { queue: late }, slots: 1 });
    await using _worker = worker;
    await until(() => log.length > 0, 'it is given up');
    assert.deepEqual([log, sendings.length], [['lost b.test 1'], 0]);
  });

  test('the shutdown renews no more', async () => {
    await at.accept(['bob@b.test']);
    const begun = Promise.withResolvers<readonly RecipientOutcome[]>();
    let tries = 0;
    const { worker, watch } = at.start({
      send: () => {
        tries += 1;
        return begun.promise;
      },
    });
    await until(() => tries === 1, 'it is under way');
    const ended = worker[Symbol.asyncDispose]();
    await pass(2 * RENEW_EVERY);
    begun.resolve([delivered]);
    await ended;
    assert.deepEqual([watch.renewed, watch.settled, at.clock.waiting], [[], 1, 0]);
  });
});
