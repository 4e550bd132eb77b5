import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createHealth } from '../../src/http/health.ts';
import type { Listener } from '../../src/http/listener.ts';
import { createTestClock } from '../harness/clock.ts';

describe('health', () => {
  const clock = createTestClock();
  let ping: () => Promise<void>;
  let health: Listener;
  before(async () => {
    health = await createHealth({ port: 0, ping: () => ping(), clock });
  });
  after(() => health[Symbol.asyncDispose]());
  const ask = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${health.port}${path}`, { method });
    return `${response.status} ${(await response.text()).trim()}`;
  };

  test('is ready while the store answers, and not while it does not; it lives all the time', async () => {
    ping = async () => {};
    assert.equal(await ask('/health/ready'), '200 ready');
    ping = async () => Promise.reject(new Error('away'));
    assert.equal(await ask('/health/ready'), '503 the store does not answer');
    assert.equal(await ask('/health/live'), '200 live');
    ping = async () => {};
    assert.equal(await ask('/health/ready'), '200 ready', 'it is back');
  });

  test('does not wait for a store that hangs', async () => {
    const asked = Promise.withResolvers<void>();
    ping = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const answer = ask('/health/ready');
    await asked.promise;
    clock.advance(5000);
    assert.equal(await answer, '503 the store does not answer');
  });

  test('answers nothing else', async () => {
    assert.match(await ask('/'), /^404 /);
    assert.match(await ask('/health/ready', 'POST'), /^405 /);
  });
});
