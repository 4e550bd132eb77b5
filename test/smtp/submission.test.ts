import assert from 'node:assert/strict';
import { createServer } from 'node:tls';
import { test } from 'node:test';
import { minute, second } from '../../src/clock.ts';
import { createRateLimit } from '../../src/limits/rate-limit.ts';
import { createTestClock } from '../harness/clock.ts';
import {
  ALICE,
  BOB,
  DOMAIN,
  MESSAGE,
  PASSWORD,
  fakeLogin,
  startSubmission,
} from '../harness/smtp-listeners.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('AUTH is offered and taken under TLS alone', async () => {
  await using relay = await startSubmission({ mode: 'starttls' });
  await using client = await connectSmtp({ port: relay.port, ehlo: false });
  assert.doesNotMatch((await client.command('EHLO [127.0.0.1]')).text, /AUTH/);
  assert.equal((await client.login(ALICE, PASSWORD)).text, '530 5.7.0 Must issue a STARTTLS command first');
  assert.equal((await client.command('AUTH LOGIN')).code, 530);
  await client.startTls();
  assert.deepEqual((await client.command('EHLO [127.0.0.1]')).lines, [
    `250-${DOMAIN}`,
    '250-PIPELINING',
    '250-8BITMIME',
    '250-ENHANCEDSTATUSCODES',
    '250-AUTH PLAIN LOGIN',
    '250 SIZE 1048576',
  ]);
  assert.equal((await client.command(`MAIL FROM:<${ALICE}>`)).text, '530 5.7.0 Authentication required');
  assert.equal((await client.login(ALICE, PASSWORD)).text, '235 2.7.0 Authentication successful');
  assert.equal((await client.deliver(ALICE, [BOB], MESSAGE)).code, 250);
});

test('TLS is 1.3, on both ports', async () => {
  await using implicit = await startSubmission();
  await assert.rejects(
    connectSmtp({ port: implicit.port, tls: true, tlsOptions: { maxVersion: 'TLSv1.2' } }),
  );
  await using starttls = await startSubmission({ mode: 'starttls' });
  await using client = await connectSmtp({ port: starttls.port });
  await assert.rejects(client.startTls({ maxVersion: 'TLSv1.2' }));
});

test('PLAIN and LOGIN, with and without an initial response, and what is wrong with them', async () => {
  await using relay = await startSubmission();
  const plain = (user: string, password: string, acting = '') => base64(`${acting}\0${user}\0${password}`);
  const failed = '535 5.7.8 Error: authentication failed';
  const table: readonly (readonly [readonly string[], string])[] = [
    [[`AUTH PLAIN ${plain(ALICE, PASSWORD)}`], '235 2.7.0 Authentication successful'],
    [['AUTH PLAIN', plain(ALICE, PASSWORD)], '235 2.7.0 Authentication successful'],
    [['AUTH LOGIN', base64(ALICE), base64(PASSWORD)], '235 2.7.0 Authentication successful'],
    [[`AUTH LOGIN ${base64(ALICE)}`, base64(PASSWORD)], '235 2.7.0 Authentication successful'],
    [[`auth plain ${plain(ALICE.toUpperCase(), PASSWORD)}`], '235 2.7.0 Authentication successful'],
    [[`AUTH PLAIN ${plain(ALICE, PASSWORD, ALICE)}`], '235 2.7.0 Authentication successful'],
    [[`AUTH PLAIN ${plain(ALICE, PASSWORD, BOB)}`], failed],
    [[`AUTH PLAIN ${plain(ALICE, 'wrong')}`], failed],
    [['AUTH LOGIN', base64(ALICE), base64('wrong')], failed],
    [[`AUTH PLAIN ${plain(`busy@${DOMAIN}`, PASSWORD)}`], '454 4.7.0 Temporary failure, try again later'],
    [['AUTH PLAIN', '*'], '501 5.5.4 Authentication aborted'],
    [['AUTH PLAIN !!!'], '501 5.5.4 Error: invalid userdata'],
    [['AUTH CRAM-MD5'], '504 5.5.4 Error: Unrecognized authentication type'],
    [['AUTH XOAUTH2 abc'], '504 5.5.4 Error: Unrecognized authentication type'],
  ];
  for (const [lines, expected] of table) {
    await using client = await connectSmtp({ port: relay.port, tls: true });
    let text = '';
    for (const line of lines) ({ text } = await client.command(line));
    assert.equal(text, expected, lines[0]);
  }
  assert.doesNotMatch(JSON.stringify(relay.log), new RegExp(`${PASSWORD}|127\\.0\\.0\\.1`));
});

test('a login that throws is a temporary failure, and nobody logs in twice', async () => {
  const logins = [() => Promise.reject(new Error('a fault')), () => fakeLogin(ALICE, PASSWORD)];
  await using relay = await startSubmission({
    login: () => logins.shift()?.() ?? Promise.reject(new Error('too many')),
  });
  await using client = await connectSmtp({ port: relay.port, tls: true });
  assert.equal((await client.login(ALICE, PASSWORD)).code, 454);
  assert.equal((await client.login(ALICE, PASSWORD)).code, 235);
  assert.equal((await client.login(ALICE, PASSWORD)).code, 503);
});

test('a login to send does not count as use of the account', async () => {
  const hows: unknown[] = [];
  await using relay = await startSubmission({
    login: (address, password, how) => {
      hows.push(how);
      return fakeLogin(address, password);
    },
  });
  await using _client = await relay.connect();
  assert.deepEqual(hows, [{ countsAsUse: false, peer: '127.0.0.1' }]);
});

test('MAIL FROM is the address that logged in', async () => {
  await using relay = await startSubmission();
  await using client = await relay.connect();
  assert.equal(
    (await client.command(`MAIL FROM:<${BOB}>`)).text,
    `553 5.7.1 <${BOB}>: Sender address rejected: not owned by user ${ALICE}`,
  );
  assert.equal(
    (await client.command('MAIL FROM:<>')).text,
    `553 5.7.1 <>: Sender address rejected: not owned by user ${ALICE}`,
  );
  assert.equal((await client.command(`MAIL FROM:<ALICE@${DOMAIN.toUpperCase()}>`)).code, 250);
});

test('recipients here and elsewhere are all taken, but none whose domain has no dot', async () => {
  await using relay = await startSubmission();
  await using client = await relay.connect();
  await client.command(`MAIL FROM:<${ALICE}>`);
  assert.equal((await client.command(`RCPT TO:<nobody@${DOMAIN}>`)).code, 250);
  for (const elsewhere of ['carol@example.org', 'dora@[192.0.2.1]', 'emil@[IPv6:2001:db8::1]'])
    assert.equal((await client.command(`RCPT TO:<${elsewhere}>`)).code, 250, elsewhere);
  assert.equal(
    (await client.command('RCPT TO:<carol@localhost>')).text,
    '550 5.1.2 <carol@localhost>: Recipient address rejected: Domain not found',
  );
});

test('ten messages at once, then one a second: 450 with the text that clients know', async () => {
  await using relay = await startSubmission();
  await using client = await relay.connect();
  for (let n = 0; n < 10; n += 1)
    assert.equal((await client.deliver(ALICE, [BOB], MESSAGE)).code, 250, `message ${n}`);
  const until = new Date(relay.clock.now() + second).toISOString();
  assert.equal(
    (await client.command(`MAIL FROM:<${ALICE}>`)).text,
    `450 4.7.1: Too much mail from ${ALICE}, rate limited until: ${until}`,
  );
  relay.clock.advance(second);
  assert.equal((await client.deliver(ALICE, [BOB], MESSAGE)).code, 250);
  assert.equal(relay.taken.length, 11);
});

test('too many recipients within the hour are refused as a whole transaction at DATA, never one of them', async () => {
  const clock = createTestClock();
  await using relay = await startSubmission({
    clock,
    rateLimits: {
      messages: createRateLimit({ perMinute: 60, burst: 10, maxKeys: 10, clock }),
      recipients: createRateLimit({ perMinute: 1, burst: 3, maxKeys: 10, clock }),
    },
  });
  await using client = await relay.connect();
  assert.equal((await client.deliver(ALICE, [BOB, `c@${DOMAIN}`], MESSAGE)).code, 250);
  const until = new Date(clock.now() + minute).toISOString();
  assert.equal(
    (await client.deliver(ALICE, [BOB, `c@${DOMAIN}`], MESSAGE)).text,
    `450 4.7.1: Too many recipients from ${ALICE}, rate limited until: ${until}`,
  );
  assert.equal(
    (await client.deliver(ALICE, [BOB], MESSAGE)).code,
    250,
    'a smaller one still fits, without RSET',
  );
  assert.equal(relay.taken.length, 2);
});

test('a secured connection that another listener accepted is served (443 by ALPN)', async () => {
  await using relay = await startSubmission();
  const front = createServer({ ...relay.certificate.pair }, (socket) =>
    relay.listener.serve(socket, socket.remoteAddress ?? ''),
  );
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const address = front.address();
  assert.ok(address !== null && typeof address === 'object');
  {
    await using client = await connectSmtp({ port: address.port, tls: true });
    assert.equal((await client.login(ALICE, PASSWORD)).code, 235);
    assert.equal((await client.deliver(ALICE, [BOB], MESSAGE)).code, 250);
    assert.equal(relay.admission.count, 1);
  }
  await new Promise((resolve) => front.close(resolve));
  await relay.empty();
});
