import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SmtpClient } from '../../src/outbound/smtp-client.ts';
import {
  createSmtpPool,
  IDLE_TIME,
  MAX_IDLE,
  MAX_IDLE_PER_HOST,
  MAX_TRANSACTIONS,
} from '../../src/outbound/smtp-pool.ts';
import { createTestClock } from '../harness/clock.ts';

interface Fake extends SmtpClient {
  usable: boolean;
  disposed: number;
}

function fake(): Fake {
  const client = {
    usable: true,
    disposed: 0,
    extensions: new Map<string, string>(),
    commands: () => Promise.reject(new Error('not asked here')),
    text: () => Promise.reject(new Error('not asked here')),
    [Symbol.dispose]: () => void client.disposed++,
  };
  return client;
}

test('a connection is given out again, the last one first, to its key alone', () => {
  const pool = createSmtpPool(createTestClock());
  const [one, two] = [fake(), fake()];
  assert.equal(pool.take('a'), undefined);
  pool.give('a', { client: one, transactions: 0 });
  pool.give('a', { client: two, transactions: 0 });
  assert.equal(pool.take('b'), undefined);
  assert.equal(pool.take('a')?.client, two);
  assert.deepEqual(pool.take('a'), { client: one, transactions: 1 });
  assert.equal(pool.take('a'), undefined);
});

test('it waits for a minute', () => {
  const clock = createTestClock();
  const pool = createSmtpPool(clock);
  const client = fake();
  pool.give('a', { client, transactions: 0 });
  clock.advance(IDLE_TIME - 1);
  assert.equal(client.disposed, 0);
  clock.advance(1);
  assert.equal(client.disposed, 1);
  assert.equal(pool.take('a'), undefined);
  pool.give('a', { client: fake(), transactions: 0 });
  pool.take('a');
  assert.equal(clock.waiting, 0, 'who is out has no timer');
});

test('one that broke while it waited is passed over and ended', () => {
  const pool = createSmtpPool(createTestClock());
  const [good, bad] = [fake(), fake()];
  pool.give('a', { client: good, transactions: 0 });
  pool.give('a', { client: bad, transactions: 0 });
  bad.usable = false;
  assert.equal(pool.take('a')?.client, good);
  assert.equal(bad.disposed, 1);
});

test('what cannot be used, or has been used enough, is ended at once', () => {
  const pool = createSmtpPool(createTestClock());
  const [bad, old] = [fake(), fake()];
  bad.usable = false;
  pool.give('a', { client: bad, transactions: 0 });
  pool.give('a', { client: old, transactions: MAX_TRANSACTIONS - 1 });
  assert.deepEqual([bad.disposed, old.disposed], [1, 1]);
  assert.equal(pool.take('a'), undefined);
});

test('so many wait for one host, and so many in all', () => {
  const pool = createSmtpPool(createTestClock());
  const clients: Fake[] = [];
  const give = (key: string) => {
    const client = fake();
    clients.push(client);
    pool.give(key, { client, transactions: 0 });
  };
  for (let n = 0; n < MAX_IDLE_PER_HOST + 3; n++) give('a');
  assert.equal(clients.filter(({ disposed }) => disposed === 0).length, MAX_IDLE_PER_HOST);
  for (let n = 0; n < 2 * MAX_IDLE; n++) give(`host${n}`);
  assert.equal(clients.filter(({ disposed }) => disposed === 0).length, MAX_IDLE);
});

test('its end is theirs, also of what comes later', () => {
  const clock = createTestClock();
  const pool = createSmtpPool(clock);
  const [waiting, late] = [fake(), fake()];
  pool.give('a', { client: waiting, transactions: 0 });
  pool[Symbol.dispose]();
  pool.give('a', { client: late, transactions: 0 });
  assert.deepEqual([waiting.disposed, late.disposed], [1, 1]);
  assert.equal(clock.waiting, 0);
});
