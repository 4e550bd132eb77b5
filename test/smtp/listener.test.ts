import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { minute, second } from '../../src/clock.ts';
import { createAdmission } from '../../src/limits/admission.ts';
import { createByteBudget } from '../../src/limits/byte-budget.ts';
import { accepted } from '../../src/mailflow/verdict.ts';
import { HANDSHAKE_TIME } from '../../src/smtp/listener.ts';
import { DATA_TIME, IDLE_TIME, OPENING_TIME } from '../../src/smtp/session.ts';
import {
  ALICE,
  BOB,
  MESSAGE,
  PASSWORD,
  fakeLogin,
  startInbound,
  startSubmission,
} from '../harness/smtp-listeners.ts';
import { selfSigned } from '../harness/self-signed.ts';
import { connectSmtp, openSmtp } from '../harness/smtp-client.ts';

const TIMEOUT = '421 4.4.2 Timeout, closing connection';
const gate = () => Promise.withResolvers<void>();
const STOPPING = '421 4.3.2 Service is going down, try again later';

test('a connection has a minute for TLS and login, then five minutes between commands', async () => {
  await using relay = await startSubmission({ mode: 'starttls' });
  {
    await using slow = await connectSmtp({ port: relay.port });
    relay.clock.advance(OPENING_TIME - 1);
    await slow.startTls();
    assert.equal((await slow.command('EHLO client')).code, 250);
    relay.clock.advance(1);
    assert.equal((await slow.reply()).text, TIMEOUT, 'TLS without login');
    await slow.closed;
  }
  await using client = await relay.connect();
  for (const verb of ['NOOP', 'RSET']) {
    relay.clock.advance(IDLE_TIME - 1);
    assert.equal((await client.command(verb)).code, 250);
  }
  assert.equal(IDLE_TIME, 5 * minute);
  relay.clock.advance(IDLE_TIME);
  assert.equal((await client.reply()).text, TIMEOUT);
  await client.closed;
  await relay.empty();
  assert.equal(relay.clock.waiting, 0, 'no timer is left');
});

test('port 25 has a minute for TLS alone', async () => {
  await using relay = await startInbound();
  await using clear = await connectSmtp({ port: relay.port });
  await using secure = await relay.connect();
  relay.clock.advance(OPENING_TIME);
  assert.equal((await clear.reply()).text, TIMEOUT);
  assert.equal((await secure.command('NOOP')).code, 250);
});

test('a TLS handshake that is not done in time is cut off, on both kinds of port', async () => {
  await using implicit = await startSubmission();
  const silent = connect(implicit.port, '127.0.0.1').resume();
  await once(silent, 'connect');
  while (implicit.admission.count === 0) await new Promise(setImmediate);
  assert.equal(implicit.clock.nextDue, implicit.clock.now() + HANDSHAKE_TIME);
  implicit.clock.advance(HANDSHAKE_TIME);
  await once(silent, 'close');
  await implicit.empty();

  await using starttls = await startInbound();
  await using client = await connectSmtp({ port: starttls.port });
  assert.equal((await client.command('STARTTLS')).code, 220);
  starttls.clock.advance(OPENING_TIME);
  await client.closed;
  await starttls.empty();
});

test('a client that speaks in the clear to the TLS port is cut off at its first line', async () => {
  await using relay = await startSubmission();
  const client = connect(relay.port, '127.0.0.1').resume();
  client.write('EHLO client\r\n');
  await once(client, 'close');
  await relay.empty();
});

test('DATA may pause for five minutes and take an hour, no more', async () => {
  await using relay = await startSubmission({ byteBudget: createByteBudget(100_000) });
  const begin = async () => {
    const client = await relay.connect();
    client.send(`MAIL FROM:<${ALICE}>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`);
    for (const code of [250, 250, 354]) assert.equal((await client.reply()).code, code);
    return client;
  };
  await using paused = await begin();
  relay.clock.advance(IDLE_TIME);
  assert.equal((await paused.reply()).text, TIMEOUT);

  await using dripping = await begin();
  const since = relay.clock.now();
  await using witness = await relay.connect();
  while (relay.clock.now() + 4 * minute < since + DATA_TIME) {
    dripping.send('x\r\n');
    await witness.command('NOOP');
    await witness.command('NOOP');
    relay.clock.advance(4 * minute);
  }
  dripping.send('x\r\n');
  await witness.command('NOOP');
  relay.clock.advance(4 * minute);
  assert.equal((await dripping.reply()).text, TIMEOUT);
  assert.equal(relay.taken.length, 0);
});

test('no time runs while the client waits for us', async () => {
  const [loginAsked, login, takeAsked, taking] = [gate(), gate(), gate(), gate()];
  await using relay = await startSubmission({
    login: async (address, password) => {
      loginAsked.resolve();
      await login.promise;
      return fakeLogin(address, password);
    },
    take: async () => {
      takeAsked.resolve();
      await taking.promise;
      return accepted;
    },
  });
  await using client = await connectSmtp({ port: relay.port, tls: true });
  const loggedIn = client.login(ALICE, PASSWORD);
  await loginAsked.promise;
  relay.clock.advance(10 * minute);
  login.resolve();
  assert.equal((await loggedIn).code, 235);
  const delivered = client.deliver(ALICE, [BOB], MESSAGE);
  await takeAsked.promise;
  relay.clock.advance(2 * DATA_TIME);
  taking.resolve();
  assert.equal((await delivered).code, 250);
});

test('each connection holds one place until it is closed, whatever it did', async () => {
  await using relay = await startInbound({ admission: createAdmission({ max: 4, maxPerPeer: 2 }) });
  const one = await connectSmtp({ port: relay.port });
  const two = await relay.connect();
  const third = await openSmtp({ port: relay.port });
  assert.equal((await third.reply()).text, '421 4.7.0 Too many connections, try again later');
  await third.closed;
  const other = await connectSmtp({ port: relay.port, from: '127.0.0.2' });
  assert.equal((await one.command('QUIT')).code, 221);
  await one.closed;
  await two[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await relay.empty();
  await relay.connect().then((client) => client[Symbol.asyncDispose]());
  const turnedAway = relay.log.filter(({ code }) => code === 'too_many_connections');
  assert.equal(turnedAway.length, 1);
  assert.doesNotMatch(JSON.stringify(relay.log), /127\.0/);
});

test('the TLS port turns a connection away without a handshake', async () => {
  await using relay = await startSubmission({ admission: createAdmission({ max: 1, maxPerPeer: 1 }) });
  await using client = await relay.connect();
  await assert.rejects(connectSmtp({ port: relay.port, tls: true }));
  assert.equal((await client.command('NOOP')).code, 250);
});

test('a new certificate serves the next connection, on TLS and on STARTTLS', async () => {
  const next = await selfSigned('_next.test');
  for (const mode of ['implicit', 'starttls'] as const) {
    await using relay = await startSubmission({ mode });
    await using before = await relay.connect();
    relay.certificate.replace(next);
    await using after = await relay.connect();
    const name = (socket: unknown) => (socket as TLSSocket).getPeerCertificate().subject.CN;
    assert.deepEqual([name(before.socket), name(after.socket)], ['_teal.test', '_next.test'], mode);
    assert.equal((await before.command('NOOP')).code, 250);
  }
});

test('a stop says 421 to who is idle, lets a message be finished, and waits five seconds at most', async () => {
  const relay = await startInbound();
  await using idle = await relay.connect();
  await using clear = await connectSmtp({ port: relay.port });
  await using busy = await relay.connect();
  await using stuck = await relay.connect();
  for (const client of [busy, stuck]) {
    client.send(`MAIL FROM:<a@b.c>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`);
    for (const code of [250, 250, 354]) assert.equal((await client.reply()).code, code);
  }
  const stopped = relay[Symbol.asyncDispose]();
  assert.equal((await idle.reply()).text, STOPPING);
  assert.equal((await clear.reply()).text, STOPPING);
  busy.send(`${MESSAGE}.\r\n`);
  assert.equal((await busy.reply()).text, '250 2.0.0 Ok: queued');
  assert.equal((await busy.reply()).text, STOPPING);
  await busy.closed;
  await assert.rejects(connectSmtp({ port: relay.port }), /ECONNREFUSED/);
  relay.clock.advance(5 * second);
  await stuck.closed;
  await stopped;
  assert.equal(relay.taken.length, 1);
  assert.equal(relay.admission.count, 0);
  assert.equal(relay.clock.waiting, 0);
});

test('a port that is taken is an error at once', async () => {
  await using relay = await startInbound();
  await assert.rejects(startInbound({ port: relay.port }), /EADDRINUSE/);
});
