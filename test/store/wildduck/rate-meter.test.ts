import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRateMeter } from '../../../src/store/wildduck/rate-meter.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

describe('the rate meter in Redis', { skip }, () => {
  let database: TestDatabase;
  before(async () => void (database = await openTestDatabase()));
  after(() => database[Symbol.asyncDispose]());
  const createMeter = () => createRateMeter(database.redis, `${database.name}:rate:`);
  /** So slow that no test sees it recover. */
  const slow = { intervalMs: 3_600_000, burst: 10 };

  test('processes share one burst, however they race', async () => {
    const meters = [createMeter(), createMeter(), createMeter()];
    const waits = await Promise.all(Array.from({ length: 30 }, (_, n) => meters[n % 3]!('alice', 1, slow)));
    assert.equal(waits.filter((wait) => wait === 0).length, 10);
    for (const wait of waits.filter((wait) => wait > 0))
      assert.ok(wait > 3_590_000 && wait <= 3_600_000, `${wait}`);
    assert.equal(await meters[0]!('bob', 10, slow), 0);
    const keys = await database.redis.keys(`${database.name}:rate:*`);
    assert.equal(keys.length, 2);
    assert.ok(keys.every((key) => !/alice|bob/.test(key)));
  });

  test('a cost is taken whole or not at all, and one above the burst never', async () => {
    const meter = createMeter();
    assert.equal(await meter('carol', 7, slow), 0);
    const wait = await meter('carol', 5, slow);
    assert.ok(wait > 2 * 3_590_000 && wait <= 2 * 3_600_000, `${wait}`);
    assert.equal(await meter('carol', 3, slow), 0);
    assert.equal(await meter('dave', 11, slow), 1);
    assert.equal(await meter('dave', 10, slow), 0);
  });

  test('it recovers at its rate, and a rested key is forgotten', async () => {
    const meter = createMeter();
    const fast = { intervalMs: 20, burst: 2 };
    assert.equal(await meter('erin', 2, fast), 0);
    // Redis's own clock decides: ask until it grants, which is as long as it said at most.
    const wait = await meter('erin', 1, fast);
    assert.ok(wait <= 20, `${wait}`);
    while ((await meter('erin', 1, fast)) > 0);
    const [key] = (await database.redis.keys(`${database.name}:rate:*`)).slice(-1);
    const ends = async () => {
      for (let n = 0; n < 1000; n += 1) if ((await meter('erin', 2, fast)) === 0) return true;
      return false;
    };
    assert.ok(key);
    assert.ok(await ends());
    const lives = await Promise.all(
      (await database.redis.keys(`${database.name}:rate:*`)).map((name) => database.redis.pttl(name)),
    );
    assert.ok(
      lives.every((life) => life !== -1),
      'every key ends by itself',
    );
  });
});
