import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { day, second } from '../../src/clock.ts';
import { LEASE, RENEW_EVERY } from '../../src/queue/leases.ts';
import { ATTEMPT_TIME } from '../../src/queue/worker.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { without } from '../harness/peers.ts';
import { createProxyFor } from '../harness/tcp-proxy.ts';
import type { TcpProxy } from '../harness/tcp-proxy.ts';
import { openTestDatabase } from '../harness/test-database.ts';
import type { TestDatabase } from '../harness/test-database.ts';
import { openTestWildduck } from '../harness/wildduck-store.ts';
import type { TestWildduck } from '../harness/wildduck-store.ts';
import { acceptMail, startWorker, until } from './worker-at-hand.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

describe('the queue of two processes on WildDuck', { skip, timeout: 120_000 }, () => {
  let database: TestDatabase;
  let mongodb: TcpProxy;
  /** The one reaches the database through the proxy. */
  let here: TestWildduck;
  let there: TestWildduck;
  let clock: TestClock;

  before(async () => {
    database = await openTestDatabase();
    const proxied = await createProxyFor(database.mongodbUrl);
    mongodb = proxied.proxy;
    // Its faults are what the tests are about.
    here = await openTestWildduck({ mongodbUrl: proxied.url, onFault: () => {} }, database);
    there = await openTestWildduck({}, database);
  });
  after(async () => {
    await here[Symbol.asyncDispose]();
    await there[Symbol.asyncDispose]();
    await mongodb[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
  let days = 0;
  beforeEach(async () => {
    clock = createTestClock(Date.UTC(2026, 0, 2, 12) + 100 * day * days++);
    for (const name of ['teal.queue', 'teal.queue.destinations', 'teal.plans'])
      await database.database.collection(name).deleteMany({});
  });

  /** A message under way with a worker here, and a worker there that has nothing to do. */
  const begin = async () => {
    await acceptMail(here.store, clock.now(), ['bob@b.test']);
    const mine = startWorker(here.store, clock);
    await until(() => mine.sendings.length === 1, 'it is under way');
    const other = startWorker(there.store, clock);
    await until(() => clock.waiting === 4, 'the other one waits');
    /** Lets time pass in steps, in each of which both have the answers of the store. */
    const pass = async (ms: number, step = second) => {
      for (let passed = 0; passed < ms; passed += step) {
        clock.advance(step);
        for (let still = 0; still < 10; still++) {
          await new Promise((resolve) => setImmediate(resolve));
          if (mine.watch.waiting + other.watch.waiting > 0) still = 0;
        }
      }
    };
    const stop = async () => {
      await mine.worker[Symbol.asyncDispose]();
      await other.worker[Symbol.asyncDispose]();
    };
    return { mine, other, pass, [Symbol.asyncDispose]: stop };
  };
  const rows = () => there.store.queue.rows('b.test', 10);

  test('what one has under way when it dies the other has when the lease is over', async () => {
    await using both = await begin();
    const { mine, other, pass } = both;
    await pass(4 * RENEW_EVERY);
    assert.equal(mine.watch.renewed.length, 4);
    // From here on nothing is heard of it.
    mine.watch.down = true;
    await pass(LEASE - second);
    assert.equal(other.sendings.length, 0);
    await pass(second);
    await until(() => other.sendings.length === 1, 'the other one has it');
    // It was not dead after all.
    mine.watch.down = false;
    await pass(10 * second);
    await until(() => mine.log.includes('lost b.test 1'), 'it breaks off');
    assert.equal(mine.sendings[0]?.signal.aborted, true);
    other.sendings[0]?.answer();
    await until(() => other.watch.settled === 1, 'the other one settles it');
    assert.deepEqual(await rows(), []);
    assert.equal(mine.watch.settled, 0);
  });

  test('a try of a quarter of an hour is not done by the other as well', async () => {
    await using both = await begin();
    const { mine, other, pass } = both;
    await pass(ATTEMPT_TIME - RENEW_EVERY, RENEW_EVERY);
    assert.equal(mine.watch.renewed.length, ATTEMPT_TIME / RENEW_EVERY - 1);
    assert.ok(other.watch.asked > 10, 'it has looked');
    mine.sendings[0]?.answer();
    await until(() => mine.watch.settled === 1, 'it is settled');
    await pass(LEASE, RENEW_EVERY);
    assert.deepEqual([await rows(), mine.sendings.length, other.sendings.length], [[], 1, 0]);
  });

  for (const kind of ['stop', 'stall'] as const)
    test(`the database away from one of them for ten seconds (${kind}): nothing is lost, nothing done twice`, async () => {
      await using both = await begin();
      const { mine, other, pass } = both;
      await pass(RENEW_EVERY - second);
      await mongodb[kind]();
      clock.advance(second);
      if (kind === 'stop') await until(() => mine.log.includes('store unavailable'), 'it cannot renew');
      else
        await until(() => mine.watch.renewed.length > 0 && mine.watch.waiting > 0, 'it waits for an answer');
      clock.advance(9 * second);
      await mongodb.resume();
      await pass(LEASE, RENEW_EVERY);
      mine.sendings[0]?.answer();
      await until(() => mine.watch.settled === 1, 'it is settled');
      assert.deepEqual([await rows(), mine.sendings.length, other.sendings.length], [[], 1, 0]);
      assert.deepEqual(mine.log.slice(-1), [`delivered 1 smtp ${LEASE + RENEW_EVERY + 9 * second}`]);
    });
});
