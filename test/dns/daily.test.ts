import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hour } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';
import type { Finding, Report } from '../../src/dns/check.ts';
import { createDailyCheck } from '../../src/dns/daily.ts';
import { createEvents } from '../../src/observe/events.ts';
import { createRelay } from '../../src/relay.ts';
import { createTestClock } from '../harness/clock.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import { createEventLog } from '../harness/event-log.ts';
import { testSettings } from '../harness/relay.ts';

const finding = (more: Partial<Finding>): Finding => ({
  role: 'mail',
  grade: 'must',
  state: 'ok',
  name: 'chat.example',
  type: 'MX',
  want: '10 chat.example.',
  have: [],
  notes: [],
  why: '',
  ...more,
});
const reportOf = (...findings: readonly Finding[]): Report => ({
  domain: 'chat.example',
  zone: undefined,
  fromResolver: false,
  published: [],
  findings,
});

function daily(check: (signal: AbortSignal) => Promise<Report>) {
  const log = createEventLog();
  const clock = createTestClock();
  const events = createEvents(log.log);
  // 0.5 of the jitter: 15 minutes.
  const random = (bytes: number) => Buffer.alloc(bytes, 0x80);
  return { log, clock, parts: { check, clock, random, events } };
}

test('first an hour after the start, then once a day: each thing that is wrong by its weight, all well once', async () => {
  const reports = [
    reportOf(
      finding({ state: 'missing' }),
      finding({
        state: 'differs',
        grade: 'should',
        role: 'spf',
        type: 'TXT',
        notes: ['why'],
        want: 'v=spf1 a ~all',
      }),
      finding({ state: 'missing', grade: 'nice', type: 'SRV' }),
      finding({ state: 'unknown', grade: 'should', type: 'CAA' }),
    ),
    reportOf(finding({})),
    reportOf(finding({})),
    reportOf(
      finding({
        role: 'reverse',
        grade: 'should',
        state: 'missing',
        type: 'PTR',
        name: '7.2.0.192.in-addr.arpa',
      }),
    ),
  ];
  let asked = 0;
  const { log, clock, parts } = daily(() =>
    Promise.resolve(reports[asked++] ?? assert.fail('asked too often')),
  );
  await using _ = createDailyCheck(parts);
  const wait = async (ms: number) => {
    clock.advance(ms);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  await wait(hour);
  assert.equal(asked, 0);
  await wait(hour / 2);
  assert.equal(asked, 1);
  assert.deepEqual(
    log.events.map(({ event, name, type, problem, records }) => [event, name, type, problem, records]),
    [
      ['dns-wrong', 'chat.example', 'MX', 'missing; wanted: 10 chat.example.', undefined],
      ['dns-weak', 'chat.example', 'TXT', 'why; wanted: v=spf1 a ~all', undefined],
      ['dns-unknown', undefined, undefined, undefined, ['chat.example CAA']],
    ],
  );
  for (let days = 0; days < 3; days++) {
    await wait(23.5 * hour);
    assert.equal(asked, days + 1, 'not before a day');
    await wait(hour);
    assert.equal(asked, days + 2);
  }
  assert.deepEqual(
    log.events.slice(3).map(({ event }) => event),
    ['dns-well', 'dns-weak'],
  );
  assert.ok(!JSON.stringify(log.events).includes('7.2.0.192'), 'no address in the log');
});

test('a check that fails is told, and the next comes; a stop ends the one under way', async () => {
  const signals: AbortSignal[] = [];
  const { log, clock, parts } = daily(async (signal) => {
    signals.push(signal);
    if (signals.length === 1) throw new Error('broken');
    return new Promise((resolve) =>
      signal.addEventListener('abort', () => resolve(reportOf(finding({ state: 'missing' })))),
    );
  });
  {
    await using _ = createDailyCheck(parts);
    clock.advance(2 * hour);
    assert.equal((await log.next('fault'))['where'], 'dns check');
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    clock.advance(25 * hour);
    assert.equal(signals.length, 2);
  }
  assert.equal(signals[1]?.aborted, true);
  assert.equal(log.events.length, 1, 'what a stop has cut off is not told');
  clock.advance(100 * hour);
  assert.equal(signals.length, 2);
});

test('a relay with a public name looks at its zone, one without does not', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'teal-daily-'));
  await using dns = await createDnsServer();
  const start = async (domain: string) => {
    const clock = createTestClock();
    const log = createEventLog();
    const waits: number[] = [];
    const watched: Clock = {
      now: () => clock.now(),
      after: (ms, task) => (waits.push(ms), clock.after(ms, task)),
    };
    const settings = testSettings(join(dir, domain), { MAIL_DOMAIN: domain, TEAL_DNS_SERVERS: dns.address });
    const relay = await createRelay(settings, { clock: watched, log: log.log });
    return { relay, clock, log, inFirstHours: waits.filter((ms) => ms >= hour && ms < 1.5 * hour).length };
  };
  try {
    {
      const { relay, clock, log, inFirstHours } = await start('chat.example.test');
      await using _ = relay;
      assert.equal(inFirstHours, 1);
      clock.advance(2 * hour);
      const wrong = await log.next('dns-wrong');
      assert.deepEqual([wrong['name'], wrong['type']], ['chat.example.test', 'A']);
    }
    const { relay, inFirstHours } = await start('_chat.example.test');
    await using _ = relay;
    assert.equal(inFirstHours, 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
