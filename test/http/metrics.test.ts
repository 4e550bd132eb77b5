import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { createMetricsListener } from '../../src/http/metrics.ts';
import { createReadings } from '../../src/http/readings.ts';
import type { ReadingsParts } from '../../src/http/readings.ts';
import { reading } from '../../src/observe/meter.ts';
import type { Reading } from '../../src/observe/meter.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import { createTestClock } from '../harness/clock.ts';
import { selfSigned } from '../harness/self-signed.ts';

const NOW = Date.UTC(2026, 10, 18);

async function readings(store: Partial<ReadingsParts['store']> = {}) {
  const clock = createTestClock(NOW);
  const certificate = createCertificate(await selfSigned('chat.test'));
  const supply = { certificate, failing: false };
  const read = createReadings({
    store: {
      ping: async () => {},
      queue: { nextDue: async () => undefined },
      pushJobs: { nextDue: async () => undefined },
      ...store,
    },
    supply,
    admissions: new Map([['imap', { count: 7 }] as const, ['smtp', { count: 0 }] as const]),
    clock,
  });
  const values = async () =>
    Object.fromEntries(
      (await read()).map(({ name, labels, value }) => [[name, ...Object.values(labels)].join(' '), value]),
    );
  return { clock, certificate, supply, values };
}

test('gauges are what holds when they are read', async () => {
  let due: number | undefined = NOW - 90_000;
  const { certificate, supply, values } = await readings({
    queue: { nextDue: async () => due },
    pushJobs: { nextDue: async () => NOW + 60_000 },
  });
  const { teal_certificate_not_after_timestamp_seconds: notAfter, ...rest } = await values();
  assert.deepEqual(rest, {
    teal_store_up: 1,
    teal_queue_overdue_seconds: 90,
    teal_push_overdue_seconds: 0,
    teal_certificate_failing: 0,
    'teal_connections imap': 7,
    'teal_connections smtp': 0,
  });
  assert.ok(Number(notAfter) > Date.now() / 1000);

  due = undefined;
  supply.failing = true;
  const other = await selfSigned('chat.test');
  certificate.replace(other);
  const then = await values();
  assert.equal(then['teal_queue_overdue_seconds'], 0);
  assert.equal(then['teal_certificate_failing'], 1);
});

test('a store that is away is down, and what it would have told is left out', async () => {
  const away = async () => Promise.reject(new Error('away'));
  const { values } = await readings({ ping: away, queue: { nextDue: away }, pushJobs: { nextDue: away } });
  const found = await values();
  assert.equal(found['teal_store_up'], 0);
  assert.ok(!('teal_queue_overdue_seconds' in found) && !('teal_push_overdue_seconds' in found));
  assert.equal(found['teal_connections imap'], 7, 'the rest is there');
});

test('a store that hangs is not waited for longer than five seconds, and not asked again while it does', async () => {
  let asked = 0;
  const hung = Promise.withResolvers<void>();
  const { clock, values } = await readings({
    ping: () => {
      asked += 1;
      return hung.promise;
    },
  });
  for (const _time of [1, 2, 3]) {
    const found = values();
    await Promise.resolve();
    clock.advance(5000);
    assert.equal((await found)['teal_store_up'], 0);
  }
  assert.equal(asked, 1);
  hung.resolve();
  await hung.promise;
  while (asked === 1) assert.equal((await values())['teal_store_up'], 1);
});

async function listening(read: () => Promise<readonly Reading[]>) {
  const faults: unknown[] = [];
  const listener = await createMetricsListener({
    host: '127.0.0.1',
    port: 0,
    metrics: {
      contentType: 'text/plain; version=0.0.4',
      text: async (found) => `${found.map(({ value }) => value).join()}\n`,
    },
    read,
    events: { fault: (_where, error) => faults.push(error) },
  });
  const ask = async (path = '/metrics', method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${listener.port}${path}`, { method });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return { listener, faults, ask, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

test('GET /metrics is the page; anything else is told what there is', async () => {
  await using at = await listening(async () => [reading('teal_store_up', 1, {})]);
  const { status, headers, text: page } = await at.ask();
  assert.deepEqual([status, page], [200, '1\n']);
  assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4');
  assert.equal((await at.ask('/metrics?collect[]=x')).status, 200);
  assert.deepEqual((await at.ask('/metrics', 'HEAD')).text, '');
  const posted = await at.ask('/metrics', 'POST');
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD']);
  for (const path of ['/', '/metrics/'])
    assert.deepEqual([(await at.ask(path)).status, (await at.ask(path)).text], [404, 'there is /metrics\n']);
});

test('scrapes at once are one', async () => {
  const letGo = Promise.withResolvers<void>();
  let reads = 0;
  await using at = await listening(async () => {
    reads += 1;
    await letGo.promise;
    return [reading('teal_store_up', reads, {})];
  });
  const begin = async () => {
    // Answered as soon as the request has come (RFC 9110 10.1.1), before the page is made.
    const headers = { expect: '100-continue' };
    const asked = request({ port: at.listener.port, host: '127.0.0.1', path: '/metrics', headers }).end();
    const answered = once(asked, 'response') as Promise<[IncomingMessage]>;
    await once(asked, 'continue');
    return { answer: answered.then(([response]) => text(response)) };
  };
  const both = [await begin(), await begin()];
  letGo.resolve();
  assert.deepEqual(await Promise.all(both.map(({ answer }) => answer)), ['1\n', '1\n']);
  assert.equal((await at.ask()).text, '2\n', 'the next is a new one');
});

test('a fault is a 500 and a line in the log, and the next scrape is its own', async () => {
  const broken = new TypeError('broken');
  const results = [() => Promise.reject(broken), async () => []];
  await using at = await listening(() => (results.shift() ?? assert.fail())());
  const { status, text: page } = await at.ask();
  assert.deepEqual([status, page], [500, 'a fault of Teal; its log says more\n']);
  assert.deepEqual(at.faults, [broken]);
  assert.equal((await at.ask()).status, 200);
});
