import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { createAdmission } from '../../src/limits/admission.ts';
import { createByteBudget } from '../../src/limits/byte-budget.ts';
import type { SharedByteBudget } from '../../src/limits/byte-budget.ts';
import { HANDSHAKE_TIME } from '../../src/smtp/listener.ts';
import { MAX_COMMAND_LINE } from '../../src/smtp/line-reader.ts';
import { MAX_ERRORS, OPENING_TIME } from '../../src/smtp/session.ts';
import { ALICE, BOB, MESSAGE, startInbound, startSubmission } from '../harness/smtp-listeners.ts';
import { connectSmtp, openSmtp } from '../harness/smtp-client.ts';

test('a peer that opens connection after connection leaves room for others, and its silence ends', async () => {
  await using relay = await startSubmission({ admission: createAdmission({ max: 50, maxPerPeer: 10 }) });
  const flood = Array.from({ length: 100 }, () =>
    connect(relay.port, '127.0.0.1')
      .on('error', () => {})
      .resume(),
  );
  await Promise.all(flood.map((socket) => once(socket, 'connect')));
  await using client = await relay.connect({ from: '127.0.0.9' });
  assert.equal((await client.deliver(ALICE, [BOB], MESSAGE)).code, 250);
  while (flood.filter(({ closed }) => closed).length < 90) await new Promise(setImmediate);
  relay.clock.advance(HANDSHAKE_TIME);
  await Promise.all(flood.map(closing));
  assert.ok(relay.log.length < 30, `${relay.log.length} log lines`);
});

test('a slow client that never finishes its greeting is gone after a minute', async () => {
  await using relay = await startInbound();
  await using slow = await connectSmtp({ port: relay.port });
  for (let n = 0; n < 6; n += 1) {
    slow.send('N');
    relay.clock.advance(OPENING_TIME / 6);
  }
  assert.equal((await slow.reply()).code, 421);
  await slow.closed;
});

test('a command line of any length is refused once and its rest is dropped', async () => {
  await using relay = await startInbound();
  await using client = await relay.connect();
  const tooLong = '500 5.5.2 Error: line too long';
  assert.equal((await client.command(`NOOP ${'x'.repeat(MAX_COMMAND_LINE - 5)}`)).code, 250);
  assert.equal((await client.command(`NOOP ${'x'.repeat(MAX_COMMAND_LINE - 4)}`)).text, tooLong);
  assert.equal((await client.command('x'.repeat(3_000_000))).text, tooLong);
  client.send('y'.repeat(100_000));
  assert.equal((await client.command('')).text, tooLong);
  assert.equal((await client.command('NOOP')).code, 250);
});

test('a client that says nothing but nonsense is cut off, one that is refused for good reasons as well', async () => {
  await using relay = await startInbound();
  await using nonsense = await relay.connect();
  for (let n = 0; n < 9; n += 1) assert.equal((await nonsense.command('XYZZY')).code, 500);
  assert.equal((await nonsense.command('XYZZY')).code, 421);
  await nonsense.closed;

  await using prober = await relay.connect();
  await prober.command('MAIL FROM:<a@b.c>');
  prober.send('RCPT TO:<a@elsewhere.example>\r\n'.repeat(MAX_ERRORS + 10));
  for (let n = 0; n < MAX_ERRORS; n += 1) assert.equal((await prober.reply()).code, 554);
  assert.equal((await prober.reply()).text, '421 4.7.0 Too many errors, closing connection');
  await prober.closed;

  await using clear = await connectSmtp({ port: relay.port });
  clear.send('MAIL FROM:<a@b.c>\r\n'.repeat(MAX_ERRORS));
  for (let n = 0; n < MAX_ERRORS; n += 1) assert.equal((await clear.reply()).code, 530);
  assert.equal((await clear.reply()).code, 421);
  await clear.closed;
});

test('commands before login are few', async () => {
  await using relay = await startSubmission();
  await using client = await connectSmtp({ port: relay.port, tls: true });
  client.send('NOOP\r\n'.repeat(30));
  let replies = 0;
  while ((await client.reply()).code === 250) replies += 1;
  assert.ok(replies >= 10 && replies < 20, `${replies} replies`);
  await client.closed;
});

test('noise of any kind ends no more than its own connection', async () => {
  await using relay = await startInbound();
  await using submission = await startSubmission();
  const noise = [
    Buffer.alloc(100_000),
    Buffer.alloc(100_000, 0xff),
    Buffer.from('\r\n'.repeat(50_000)),
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from('16030100050100000100', 'hex'),
    Buffer.from('STARTTLS\r\n\x16\x03\x01\xff\xff', 'latin1'),
    Buffer.from('STARTTLS\r\nSTARTTLS\r\n'.repeat(1000)),
    Buffer.from('EHLO \r\nEHLO a b\r\nEHLO \0\r\nHELO\r\n__proto__\r\nconstructor\r\n'),
  ];
  for (const { port } of [relay, submission]) {
    for (const bytes of noise) {
      const socket = connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume();
      socket.end(bytes);
      socket.setTimeout(2000, () => socket.destroy());
      await closing(socket);
    }
    const reset = connect(port, '127.0.0.1');
    await once(reset, 'connect');
    reset.resetAndDestroy();
  }
  await using client = await relay.connect();
  assert.equal((await client.deliver('a@b.c', [BOB], MESSAGE)).code, 250);
  await using user = await submission.connect();
  assert.equal((await user.deliver(ALICE, [BOB], MESSAGE)).code, 250);
  assert.deepEqual(
    [...relay.log, ...submission.log].filter(({ event }) => event === 'fault'),
    [],
  );
});

test('noise under TLS and after login ends no more than its own connection', async () => {
  await using relay = await startSubmission();
  for (const bytes of [
    '\0'.repeat(5000),
    'AUTH PLAIN\r\n',
    `MAIL FROM:<${ALICE}>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n\0\0`,
  ]) {
    const client = await relay.connect();
    client.send(bytes);
    await client[Symbol.asyncDispose]();
  }
  await relay.empty();
  assert.deepEqual(
    relay.log.filter(({ event }) => event === 'fault'),
    [],
  );
});

test('messages over the budget of all connections are refused for now; the budget comes back when a client leaves', async () => {
  const budget = watchedBudget(300_000);
  await using relay = await startSubmission({ byteBudget: budget });
  const line = `${'x'.repeat(998)}\r\n`;
  const begin = async () => {
    const client = await relay.connect();
    client.send(`MAIL FROM:<${ALICE}>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`);
    for (const code of [250, 250, 354]) assert.equal((await client.reply()).code, code);
    return client;
  };
  const holder = await begin();
  holder.send(line.repeat(200));
  while (budget.held < 200_000) await new Promise(setImmediate);
  await using other = await begin();
  other.send(`${line.repeat(200)}.\r\n`);
  assert.equal((await other.reply()).text, '452 4.3.1 Insufficient system storage, try again later');
  await holder[Symbol.asyncDispose]();
  while (budget.held > 0) await new Promise(setImmediate);
  for (let n = 0; n < 3; n += 1) {
    assert.equal(
      (await other.deliver(ALICE, [BOB], line.repeat(200))).code,
      250,
      'each gives back what it took',
    );
  }
  assert.equal(budget.held, 0);
  assert.equal(relay.taken.length, 3);
});

test('thirty megabytes too many are read to their end without being kept', async () => {
  const budget = watchedBudget(Number.MAX_SAFE_INTEGER);
  await using relay = await startSubmission({ maxMessageSize: 100_000, byteBudget: budget });
  await using client = await relay.connect();
  client.send(`MAIL FROM:<${ALICE}>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`);
  for (const code of [250, 250, 354]) assert.equal((await client.reply()).code, code);
  client.send(`${'x'.repeat(78)}\r\n`.repeat(375_000));
  client.send('.\r\n');
  assert.equal((await client.reply()).text, '552 5.3.4 Message size exceeds fixed limit');
  assert.ok(budget.most > 0 && budget.most <= 100_000, `${budget.most} bytes at most`);
  assert.equal(budget.held, 0);
  assert.equal((await client.deliver(ALICE, [BOB], MESSAGE)).code, 250);
});

test('a client that never reads its replies does not make them pile up', async () => {
  await using relay = await startInbound();
  await using client = await openSmtp({ port: relay.port });
  client.socket.pause();
  const block = 'NOOP\r\n'.repeat(10_000);
  let sent = 0;
  let stalled = false;
  while (!stalled && sent < 200) {
    sent += 1;
    if (!client.socket.write(block)) {
      stalled = !(await Promise.race([
        once(client.socket, 'drain').then(() => true),
        new Promise<false>((resolve) => setTimeout(() => resolve(false), 300)),
      ]));
    }
  }
  assert.ok(stalled, 'we stopped reading');
});

/** Unlike once(), an error beside it is no failure. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));
}

/** A byte budget that says what is set aside now, and what was at most. */
function watchedBudget(limit: number): SharedByteBudget & { readonly held: number; readonly most: number } {
  const budget = createByteBudget(limit);
  let held = 0;
  let most = 0;
  const reserve: SharedByteBudget['reserve'] = (bytes) => {
    const release = budget.reserve(bytes);
    if (release === undefined) return undefined;
    held += bytes;
    most = Math.max(most, held);
    return () => {
      held -= bytes;
      release();
    };
  };
  return {
    get held() {
      return held;
    },
    get most() {
      return most;
    },
    reserve,
    of: () => ({ reserve }),
  };
}
