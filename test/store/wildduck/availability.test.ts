import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MongoClient, MongoNetworkError, MongoParseError, MongoServerError } from 'mongodb';
import { StoreUnavailable } from '../../../src/store/contract.ts';
import {
  asUnavailable,
  createPing,
  mayPass,
  openWhenThere,
} from '../../../src/store/wildduck/availability.ts';
import { createTestClock } from '../../harness/clock.ts';
import { without } from '../../harness/peers.ts';
import { createProxyFor } from '../../harness/tcp-proxy.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

describe('opening a store that is not there yet', () => {
  test('waits, says so each time, and goes on when it is there', async () => {
    const clock = createTestClock();
    const faults: string[] = [];
    let tries = 0;
    const opened = openWhenThere({
      clock,
      mayPass,
      onFault: (where, error) => faults.push(`${where}: ${error.message}`),
      open: async () => {
        tries += 1;
        if (tries < 7) throw new MongoNetworkError('connect ECONNREFUSED');
        return 'open';
      },
    });
    for (const seconds of [1, 2, 4, 8, 10, 10]) {
      await clock.timersSet();
      assert.equal(
        faults.at(-1),
        `store start: the store is not there yet (next try in ${seconds} s): connect ECONNREFUSED`,
      );
      clock.advance(seconds * 1000 - 1);
      assert.equal(clock.waiting, 1);
      clock.advance(1);
      await new Promise(setImmediate);
    }
    assert.equal(await opened, 'open');
    assert.equal(faults.length, 6);
  });

  test('does not wait for what only the operator can mend', async () => {
    for (const error of [
      new MongoParseError('no such option'),
      new MongoServerError({ message: 'Authentication failed.', code: 18 }),
      new TypeError('a fault of ours'),
    ]) {
      const open = () => Promise.reject(error);
      await assert.rejects(
        openWhenThere({ clock: createTestClock(), mayPass, onFault: () => {}, open }),
        error,
      );
    }
  });

  test('ends when the process is to stop', async () => {
    const clock = createTestClock();
    const stop = new AbortController();
    const open = () => Promise.reject(new StoreUnavailable('away'));
    const opened = openWhenThere({ clock, mayPass, onFault: () => {}, open, signal: stop.signal });
    await clock.timersSet();
    stop.abort(new Error('stopped'));
    await assert.rejects(opened, /stopped/);
    assert.equal(clock.waiting, 0);
  });

  test('errors of the driver become StoreUnavailable, others stay as they are', () => {
    const gone = new MongoNetworkError('connection 3 to 10.0.0.1:27017 closed');
    const told = asUnavailable(gone);
    assert.ok(told instanceof StoreUnavailable);
    assert.equal(told.cause, gone);
    const key = new MongoServerError({ message: 'E11000', code: 11000 });
    assert.equal(asUnavailable(key), key);
    const timeout = asUnavailable(new Error('Command timed out'));
    assert.ok(timeout instanceof StoreUnavailable);
    const fault = new TypeError('x is undefined');
    assert.equal(asUnavailable(fault), fault);
  });
});

describe('ping', () => {
  const answer = async () => {};
  const away = () => Promise.reject(new Error('ECONNREFUSED'));
  const ping = (parts: Partial<Parameters<typeof createPing>[0]> = {}) =>
    createPing({
      clock: createTestClock(),
      database: answer,
      redis: answer,
      connected: () => true,
      ...parts,
    });

  test('resolves when the database, Redis and the bus are there, and says which is not', async () => {
    await ping()();
    const cases = [
      [{ database: away }, 'the database does not answer: ECONNREFUSED'],
      [{ redis: away }, 'Redis does not answer: ECONNREFUSED'],
      [{ connected: () => false }, 'Redis does not tell of changes'],
    ] as const;
    for (const [parts, message] of cases) {
      await assert.rejects(ping(parts)(), { name: 'StoreUnavailable', message });
    }
  });

  test('waits five seconds at most', async () => {
    const clock = createTestClock();
    const pinged = ping({ clock, database: () => new Promise(() => {}) })();
    clock.advance(5000);
    await assert.rejects(pinged, StoreUnavailable);
    assert.equal(clock.waiting, 0);
  });
});

describe('the proxy that tests put before the servers', { skip }, () => {
  test('stops, stalls and resumes', async () => {
    const { proxy, url } = await createProxyFor(process.env['MONGODB_URL'] ?? '');
    await using _proxy = proxy;
    const client = await MongoClient.connect(url, { serverSelectionTimeoutMS: 300, socketTimeoutMS: 300 });
    const ask = () => client.db('admin').command({ ping: 1 });
    try {
      await ask();
      assert.ok(proxy.connections > 0);
      proxy.stall();
      await assert.rejects(ask(), mayPass);
      await proxy.resume();
      await ask();
      await proxy.stop();
      assert.equal(proxy.connections, 0);
      await assert.rejects(ask(), mayPass);
      await proxy.resume();
      const until = Date.now() + 5000;
      while (Date.now() < until) {
        const back = await ask().then(
          () => true,
          () => false,
        );
        if (back) return;
      }
      assert.fail('it did not come back');
    } finally {
      await client.close();
    }
  });
});
