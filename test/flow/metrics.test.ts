import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { metricTable } from '../../src/observe/metric-table.ts';
import type { Metric } from '../../src/observe/metric-table.ts';
import { PortUnavailable } from '../../src/machine.ts';
import { createRelay } from '../../src/relay.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import { connectImap } from '../harness/imap-client.ts';
import { scrape, scrapeText, parseMetrics, valueOf } from '../harness/metrics.ts';
import { without } from '../harness/peers.ts';
import { openTestCluster, startTestRelay, testSettings } from '../harness/relay.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

const open = { TEAL_METRICS_PORT: '0' };

test('a message from login to mailbox is counted, in its bytes and recipients, with who is connected', async () => {
  await using relay = await startTestRelay({ ...open, TEAL_HEALTH_PORT: '0' });
  const { ports, domain } = relay;
  const [alice, bob] = [`aliceinch@${domain}`, `bobinchat@${domain}`];
  const before = await scrape(ports.metrics_port);
  assert.equal(valueOf(before, 'teal_accounts_created_total'), 0);
  assert.equal(valueOf(before, 'teal_store_up'), 1);
  assert.equal(valueOf(before, 'teal_certificate_failing'), 0);

  await using imap = await connectImap({ port: ports.imaps_port, tls: true });
  assert.equal((await imap.command(`LOGIN ${bob} password-1`)).status, 'OK');
  await using smtp = await connectSmtp({ port: ports.submissions_port, tls: true });
  await smtp.login(alice, 'password-1');
  assert.equal((await smtp.deliver(alice, [bob, 'eve@nowhere.example'], mail({ from: alice }))).code, 250);
  assert.equal((await smtp.deliver(alice, [bob], 'Subject: cleartext\r\n\r\nhi\r\n')).code, 500);

  const after = await scrape(ports.metrics_port);
  const value = (name: string, labels = {}) => valueOf(after, name, labels);
  assert.equal(value('teal_accounts_created_total'), 2);
  assert.equal(value('teal_logins_total', { service: 'imaps' }), 1);
  assert.equal(value('teal_logins_total', { service: 'submissions' }), 1);
  assert.equal(value('teal_messages_accepted_total', { direction: 'outgoing' }), 1);
  assert.equal(value('teal_messages_accepted_recipients_total', { direction: 'outgoing' }), 1);
  assert.equal(value('teal_queue_recipients_added_total'), 1);
  const size = (await imap.command('SELECT INBOX')) && (await imap.command('UID FETCH 1 (RFC822.SIZE)'));
  const [, bytes] = /RFC822\.SIZE (\d+)/.exec(size.responses.map(({ text }) => text).join()) ?? [];
  assert.equal(value('teal_messages_accepted_bytes_total', { direction: 'outgoing' }), Number(bytes));
  const refused = { direction: 'outgoing', code: 'from_invalid' };
  assert.equal(value('teal_messages_refused_total', refused), 1);
  assert.equal(value('teal_connections', { service: 'imap' }), 1);
  assert.equal(value('teal_connections', { service: 'submissions' }), 1);
  assert.equal(value('teal_connections', { service: 'smtp' }), 0);
  // The row may have become due and not been taken, an instant ago.
  assert.ok(Number(value('teal_queue_overdue_seconds')) < 10);
  assert.equal(value('teal_push_overdue_seconds'), 0);
  assert.ok(Number(value('teal_certificate_not_after_timestamp_seconds')) > Date.now() / 1000);
});

test('a certificate that cannot be had is failing from the first try on', async () => {
  const log = createEventLog();
  await using relay = await startTestRelay({ ...open, MAIL_DOMAIN: 'chat.example' }, { log: log.log });
  await log.next('certificate-failed');
  const found = await scrape(relay.ports.metrics_port);
  assert.equal(valueOf(found, 'teal_certificate_failing'), 1);
  assert.equal(valueOf(found, 'teal_certificates_failed_total'), 1);
});

test('closed unless asked for; an address that is not of this machine is told by its setting', async () => {
  await using relay = await startTestRelay();
  assert.equal(relay.ports.metrics_port, undefined);
  const elsewhere = testSettings(`${relay.dir}/elsewhere`, { ...open, TEAL_METRICS_ADDRESS: '192.0.2.77' });
  await assert.rejects(
    createRelay(elsewhere),
    new PortUnavailable('metrics_address 192.0.2.77 is not an address of this machine'),
  );
});

/** What stands in everything below that a stranger may choose. */
const HOSTILE = 'xyzzy';
const PEER = '127.0.77.1';

test('whatever strangers say, labels have the values of the table, and nobody is named', async () => {
  await using relay = await startTestRelay(open);
  const { ports, domain } = relay;
  const before = await scrape(ports.metrics_port);
  for (const [port, lines] of [
    [ports.imap_port, [`a LOGIN ${HOSTILE} ${HOSTILE}`, `${HOSTILE} ${HOSTILE}`]],
    [ports.smtp_port, [`EHLO ${HOSTILE}"}`, `MAIL FROM:<${HOSTILE}@${HOSTILE}.test>`, `${HOSTILE}\\`]],
    [ports.smtp_port, Array<string>(100).fill(HOSTILE)],
    [ports.submissions_port, [`GET /${HOSTILE} HTTP/1.1`, '']],
    [ports.https_port ?? 0, [`${HOSTILE}`]],
    [ports.http_port ?? 0, [`${HOSTILE} /${HOSTILE} HTTP/1.1`, '']],
  ] as const) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: PEER });
    socket.on('error', () => undefined).resume();
    socket.end(lines.map((line) => `${line}\r\n`).join(''));
    await once(socket, 'close');
  }
  {
    await using imap = await connectImap({ port: ports.imaps_port, tls: true });
    await imap.command(`LOGIN ${HOSTILE}@${HOSTILE}.test "${HOSTILE}"`);
    await imap.command(`${HOSTILE.toUpperCase()} {1000000}`);
  }
  const alice = `aliceinch@${domain}`;
  await using smtp = await connectSmtp({ port: ports.submissions_port, tls: true, from: PEER });
  await smtp.login(alice, 'password-1');
  for (const sender of [`${HOSTILE}@${domain}`, alice])
    for (const recipient of [`${HOSTILE}@${HOSTILE}`, `${HOSTILE}@${HOSTILE}.test`, `"${HOSTILE}" @`]) {
      await smtp.deliver(sender, [recipient], mail({ from: alice }));
      await smtp.command('RSET');
    }
  await fetch(`http://127.0.0.1:${ports.metrics_port}/metrics?${HOSTILE}`);

  const text = await scrapeText(ports.metrics_port);
  assert.ok(!text.toLowerCase().includes(HOSTILE));
  assert.doesNotMatch(text, /\d+\.\d+\.\d+\.\d+|::|@/);
  const samples = parseMetrics(text);
  const table: Readonly<Record<string, Metric>> = metricTable;
  let looked = 0;
  for (const { name, labels } of samples.filter((sample) => sample.name.startsWith('teal_'))) {
    const metric = table[name] ?? table[name.replace(/_(?:bucket|sum|count)$/, '')];
    assert.ok(metric, name);
    for (const [label, value] of Object.entries(labels)) {
      if (label === 'version' || label === 'le') continue;
      assert.ok(metric.labels[label]?.includes(value), `${name} ${label}=${value}`);
      looked += 1;
    }
  }
  assert.ok(looked > 30);
  assert.ok(samples.length > before.length);
  assert.ok(valueOf(samples, 'teal_sessions_refused_total', { service: 'smtp', code: 'too_many_errors' }));
  assert.ok(samples.length < 300, `${samples.length} series`);
});

test(
  'on WildDuck the store is down while its database is away, and up again after',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using cluster = await openTestCluster();
    await using relay = await startTestRelay({ ...cluster.env, ...open });
    const store = async () => {
      const found = await scrape(relay.ports.metrics_port);
      return [valueOf(found, 'teal_store_up'), valueOf(found, 'teal_queue_overdue_seconds') !== undefined];
    };
    assert.deepEqual(await store(), [1, true]);
    await cluster.stop();
    assert.deepEqual(await store(), [0, false]);
    await cluster.resume();
    while ((await store())[0] !== 1);
  },
);
