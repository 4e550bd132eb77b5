import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { load } from 'js-yaml';
import { register } from 'prom-client';
import { refuse } from '../../src/errors.ts';
import { createEvents } from '../../src/observe/events.ts';
import type { Events } from '../../src/observe/events.ts';
import { createLog } from '../../src/observe/log.ts';
import { reading } from '../../src/observe/meter.ts';
import { metricTable, processMetrics } from '../../src/observe/metric-table.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { countsOf, parseMetrics } from '../harness/metrics.ts';

type Counts = Readonly<Record<string, number>>;

/** Each event with what it adds to the metrics. An event that is not here does not compile. */
const samples: { readonly [E in keyof Events]: readonly [Parameters<Events[E]>, Counts] } = {
  ready: [['chat.test', {}], {}],
  stopping: [[], {}],
  stopped: [[], {}],
  certificateDoubtful: [['expired'], {}],
  certificateSelfSigned: [['why'], {}],
  certificateReplaced: [[new Date(0)], {}],
  certificateFilesRejected: [['problem'], { teal_certificate_files_rejected_total: 1 }],
  acmeAccount: [['url', [], undefined], {}],
  certificateIssued: [[['chat.test'], 'renewal'], { teal_certificates_issued_total: 1 }],
  certificateNameRefused: [['www.chat.test', 'reason'], {}],
  certificateFailed: [['reason', 1, new Date(0), new Date(0)], { teal_certificates_failed_total: 1 }],
  certificateNotOffered: [['reason'], {}],
  dnsWrong: [['chat.test', 'MX', 'missing'], { teal_dns_records_wrong_total: 1 }],
  dnsWeak: [['chat.test', 'TXT', 'missing'], { teal_dns_records_weak_total: 1 }],
  dnsUnknown: [[['chat.test MX']], {}],
  dnsWell: [[], {}],
  sessionRefused: [
    ['imap', '-', refuse('too_many_connections', '')],
    { 'teal_sessions_refused_total{service="imap",code="too_many_connections"}': 1 },
  ],
  proxyHeaderRefused: [['smtp', 'no header', 5], { 'teal_proxy_headers_refused_total{service="smtp"}': 5 }],
  sessionFailed: [['https', '-', new Error('reset')], { 'teal_sessions_failed_total{service="https"}': 1 }],
  loggedIn: [['submissions', 's'], { 'teal_logins_total{service="submissions"}': 1 }],
  loginRefused: [['wrong password'], { teal_logins_refused_total: 1 }],
  loginUnavailable: [['busy'], { teal_logins_unavailable_total: 1 }],
  signUpRefused: [['used up'], { teal_sign_ups_refused_total: 1 }],
  accountCreated: [['a@chat.test'], { teal_accounts_created_total: 1 }],
  messageReceived: [
    ['s', 4000, 3],
    {
      'teal_messages_accepted_total{direction="incoming"}': 1,
      'teal_messages_accepted_bytes_total{direction="incoming"}': 4000,
      'teal_messages_accepted_recipients_total{direction="incoming"}': 3,
    },
  ],
  messageSubmitted: [
    ['s', 5000, 2, 7],
    {
      'teal_messages_accepted_total{direction="outgoing"}': 1,
      'teal_messages_accepted_bytes_total{direction="outgoing"}': 5000,
      'teal_messages_accepted_recipients_total{direction="outgoing"}': 2,
      teal_queue_recipients_added_total: 7,
    },
  ],
  messageRefused: [
    ['incoming', 's', refuse('dkim_missing', '')],
    { 'teal_messages_refused_total{direction="incoming",code="dkim_missing"}': 1 },
  ],
  recipientDropped: [['s', 'unknown'], { 'teal_recipients_dropped_total{reason="unknown"}': 1 }],
  mailDelivered: [
    [4, 'mxdeliv', 2000],
    {
      'teal_queue_recipients_delivered_total{via="mxdeliv"}': 4,
      'teal_queue_delivery_seconds_count{via="mxdeliv"}': 1,
      'teal_queue_delivery_seconds_sum{via="mxdeliv"}': 2,
    },
  ],
  mailDeferred: [
    ['other.test', 5, '4.0.0', 'away', 1, new Date(0)],
    { teal_queue_recipients_deferred_total: 5 },
  ],
  mailFailed: [['other.test', 6, '5.0.0', 'no'], { teal_queue_recipients_failed_total: 6 }],
  mailClaimLost: [['other.test', 6], { teal_queue_claims_lost_total: 1 }],
  bounceSent: [
    ['elsewhere', 3],
    { 'teal_bounces_sent_total{sender="elsewhere"}': 1, teal_queue_recipients_added_total: 1 },
  ],
  bounceSuppressed: [['no room', 3], { 'teal_bounces_suppressed_total{reason="no room"}': 1 }],
  pushSent: [[0], { teal_push_sent_total: 1 }],
  pushFailed: [[1, 'away'], { teal_push_failed_total: 1 }],
  pushGivenUp: [[9], { teal_push_given_up_total: 1 }],
  tokenDropped: [[], { teal_push_tokens_dropped_total: 1 }],
  mtaStsMismatch: [['other.test', ['mx.test']], { teal_mta_sts_mismatches_total: 1 }],
  daneMismatch: [['other.test', 'mx.test', 'none fits'], { teal_dane_mismatches_total: 1 }],
  irohUnavailable: [['away'], { teal_iroh_unavailable_total: 1 }],
  storeUnavailable: [[new Error('away')], { teal_store_unavailable_total: 1 }],
  fault: [['here', new Error('broken')], { teal_faults_total: 1 }],
};

function watched(level: 'trace' | 'silent' = 'trace') {
  const lines: string[] = [];
  const metrics = createMetrics('1.2.3');
  const log = createLog(level, { write: (line: string) => void lines.push(line) });
  const events = createEvents(log, metrics.meter);
  const own = async () =>
    parseMetrics(await metrics.text([])).filter(
      ({ name, labels }) => name.startsWith('teal_') && name !== 'teal_build_info' && !('le' in labels),
    );
  return { lines, metrics, events, counts: async () => countsOf(await own()) };
}

function tell(events: Events, event: keyof Events): void {
  (events[event] as (...args: readonly unknown[]) => void)(...samples[event][0]);
}

describe('an event is one line in the log and its count', () => {
  for (const event of Object.keys(samples) as (keyof Events)[])
    test(event, async () => {
      const { lines, events, counts } = watched();
      assert.deepEqual(await counts(), {}, 'nothing is counted before');
      for (const times of [1, 2]) {
        tell(events, event);
        assert.equal(lines.length, times);
        const expected = Object.entries(samples[event][1]).map(([name, by]) => [name, times * by]);
        assert.deepEqual(await counts(), Object.fromEntries(expected));
      }
    });

  test('which is there also when the log leaves out the line, and where nobody counts', async () => {
    const { lines, events, counts } = watched('silent');
    tell(events, 'pushSent');
    assert.deepEqual([lines, await counts()], [[], { teal_push_sent_total: 1 }]);
    tell(createEvents(createLog('silent')), 'pushSent');
    assert.deepEqual(await counts(), { teal_push_sent_total: 1 });
  });

  test('every counter and histogram is moved by an event', () => {
    const moved = new Set(
      Object.values(samples).flatMap(([, counts]) =>
        Object.keys(counts).map((name) => name.replace(/\{.*|_(?:count|sum)\{.*/, '')),
      ),
    );
    const kept = Object.entries(metricTable).filter(
      ([name, { type }]) => type !== 'gauge' && !moved.has(name),
    );
    assert.deepEqual(kept, []);
  });
});

test('the time to delivery is in buckets, and a clock that was set back breaks none', async () => {
  const { metrics, events } = watched();
  events.mailDelivered(1, 'smtp', 400);
  events.mailDelivered(1, 'smtp', 90_000);
  events.mailDelivered(1, 'smtp', -5000);
  metrics.meter.add('teal_faults_total', {}, NaN);
  metrics.meter.add('teal_faults_total', {}, -1);
  const samples = parseMetrics(await metrics.text([]));
  const upTo = (le: string) =>
    samples.find(({ name, labels }) => name === 'teal_queue_delivery_seconds_bucket' && labels['le'] === le)
      ?.value;
  assert.deepEqual([upTo('0.25'), upTo('0.5'), upTo('60'), upTo('300'), upTo('+Inf')], [1, 2, 2, 3, 3]);
  assert.equal(countsOf(samples)['teal_queue_delivery_seconds_sum{via="smtp"}'], 90.4);
  assert.equal(countsOf(samples)['teal_faults_total'], undefined);
});

test('the page has every metric of the tables with its type and nothing else, whatever else counts here', async () => {
  const { metrics } = watched();
  watched().events.pushSent(0);
  const text = await metrics.text([]);
  const types = Object.fromEntries(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type]) => [name, type]),
  );
  const expected = Object.entries({ ...metricTable, ...processMetrics }).map(([name, { type }]) => [
    name,
    type,
  ]);
  assert.deepEqual(types, Object.fromEntries(expected));
  assert.match(text, /^teal_build_info\{version="1\.2\.3"\} 1$/m);
  assert.match(text, /^teal_push_sent_total 0$/m, 'another relay has its own');
  assert.match(text, /^teal_logins_total\{service="imap"\} 0$/m, 'few series are there from the start');
  assert.doesNotMatch(text, /^teal_sessions_refused_total/m);
  assert.match(text, /^process_open_fds [1-9]/m);
  assert.match(text, /^nodejs_eventloop_lag_p99_seconds [0-9]/m);
  assert.deepEqual(register.getMetricsAsArray(), [], 'the global registry is left alone');
});

test('a gauge that was not read has no value, rather than one from before', async () => {
  const { metrics } = watched();
  const both = [reading('teal_store_up', 1, {}), reading('teal_connections', 5, { service: 'imap' })];
  const read = await metrics.text(both);
  for (const line of ['teal_store_up 1', 'teal_connections{service="imap"} 5'])
    assert.ok(read.includes(`\n${line}\n`), line);
  const text = await metrics.text([]);
  assert.doesNotMatch(text, /^teal_(?:store_up|connections)[ {]/m);
});

test('names have their unit at the end, counters _total', () => {
  for (const [name, { type, help }] of Object.entries(metricTable)) {
    assert.match(name, /^teal_[a-z_]+$/);
    assert.equal(type === 'counter', name.endsWith('_total'), name);
    if (type === 'histogram') assert.match(name, /_seconds$/);
    assert.doesNotMatch(name, /_ms|milli|_kb|minutes/);
    assert.ok(help.length > 10);
  }
});

test('config/alerts.example.yml asks for metrics and labels that are there', () => {
  interface Rules {
    readonly groups: readonly {
      readonly rules: readonly { readonly alert: string; readonly expr: string }[];
    }[];
  }
  const file = join(import.meta.dirname, '..', '..', 'config', 'alerts.example.yml');
  const { groups } = load(readFileSync(file, 'utf8')) as Rules;
  const rules = groups.flatMap((group) => group.rules);
  assert.ok(rules.length > 8);
  const known = new Set(['up', ...Object.keys(metricTable), ...Object.keys(processMetrics)]);
  for (const { alert, expr } of rules) {
    const names = [...expr.matchAll(/\b(?:teal|process|nodejs)_\w+|\bup\b/g)].map(([name]) => name);
    assert.ok(names.length > 0, alert);
    for (const name of names) assert.ok(known.has(name), `${alert}: ${name}`);
  }
});
