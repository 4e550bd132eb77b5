import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { minute, second } from '../../src/clock.ts';
import { createByteBudget } from '../../src/limits/byte-budget.ts';
import { MAX_HEADER_BYTES } from '../../src/message/header.ts';
import { createTestClock } from '../harness/clock.ts';
import { ADDRESS, startImap } from '../harness/imap-server.ts';

const MAIL = 'From: bob@_teal.test\r\n\r\nhello\r\n';

/** Lines that ended WildDuck's process (wildduck.md 2.4), and their like. */
const CRASHERS = [
  'LOGIN NIL NIL',
  'LOGIN',
  'LOGIN "',
  'ID (NIL NIL)',
  'ID ("name" NIL)',
  'ID',
  'LSUB "" ""',
  'ENABLE',
  'LIST (NIL) "" "*"',
  'LIST "" "*" RETURN (NIL)',
  'LIST (SPECIAL-USE) "" "*" NIL',
  'APPEND',
  'APPEND NIL NIL NIL NIL',
  'APPEND INBOX (NIL) {1+}\r\nx',
  'APPEND INBOX NIL {1+}\r\nx',
  'APPEND INBOX "no date" {1+}\r\nx',
  'SEARCH NIL',
  'SEARCH NOT',
  'SEARCH OR ALL',
  'SEARCH HEADER NIL NIL',
  'SEARCH BODY',
  'SEARCH UID',
  `SEARCH ${'('.repeat(5000)}`,
  `SEARCH ${'NOT '.repeat(5000)}ALL`,
  'FETCH 1 NIL',
  'FETCH 1 BODY[NIL]',
  'FETCH 1 BODY[HEADER.FIELDS (NIL)]',
  'FETCH 1 BODY[',
  'FETCH 1 BODY[]<>',
  'FETCH 1 BODY[]<0.0>',
  'FETCH 1:99999999999999999999 FLAGS',
  'FETCH (FLAGS) 1',
  'STORE 1 FLAGS NIL',
  'STORE 1 +FLAGS',
  'COPY 1',
  'SETMETADATA INBOX NIL',
  'GETMETADATA',
  'STATUS INBOX ()',
  'SELECT {3+}\r\nbox',
  'UID',
  'UID UID FETCH 1 FLAGS',
  'RENAME a',
  'COMPRESS',
  'AUTHENTICATE',
  'IDLE x',
  '\x00\x01\x02',
  '\xff\xfe',
  '(((((((((((((((',
];

test('lines that make no sense are answered, in every state, and the session goes on', async () => {
  await using imap = await startImap();
  await imap.deliver(MAIL);
  for (const state of ['connected', 'logged in', 'selected']) {
    for (let at = 0; at < CRASHERS.length; at += 20) {
      await using client = state === 'connected' ? await imap.connect() : await imap.login();
      if (state === 'selected') await client.command('SELECT INBOX');
      for (const line of CRASHERS.slice(at, at + 20)) {
        client.write(Buffer.from(`x ${line}\r\n`, 'latin1'));
        const response = await client
          .next()
          .catch((error: Error) => assert.fail(`${line}: ${error.message}`));
        if (!response.text.startsWith('x ')) await client.until('x');
        assert.equal((await client.command('NOOP')).status, 'OK', `${state}: ${line}`);
      }
    }
  }
});

test('random lines never end anything but, at fifty, their own session', async () => {
  await using imap = await startImap();
  await imap.deliver(MAIL);
  const word = fc.constantFrom(
    ...'a UID FETCH STORE SEARCH SELECT INBOX 1:* ( ) BODY[] BODY.PEEK[HEADER.FIELDS FLAGS \\Seen NIL "" "x {3} {3+} ~{2} * , [ ] < > NOT OR'.split(
      ' ',
    ),
    '\r\n',
    '\r',
    '\n',
    ' ',
  );
  const input = fc.oneof(
    fc.array(word, { maxLength: 30 }).map((words) => Buffer.from(words.join(' '))),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(input, fc.boolean(), async (bytes, loggedIn) => {
      const client = loggedIn ? await imap.login() : await imap.connect();
      if (loggedIn) await client.command('SELECT INBOX');
      client.write(Buffer.concat([bytes, Buffer.from('\r\n')]));
      client.socket.end();
      await client.closed;
    }),
    { numRuns: 60 },
  );
  await using client = await imap.login();
  assert.equal((await client.command('NOOP')).status, 'OK');
});

test('fifty senseless commands end a session', async () => {
  await using imap = await startImap();
  await using client = await imap.connect();
  for (let count = 0; count < 50; count += 1) client.write('x NONSENSE\r\n');
  const all = (await client.rest()).map(({ text }) => text);
  assert.equal(all.length, 51);
  assert.equal(all.at(-1), '* BYE Too many bad commands');
});

test('an endless line is neither kept nor read for ever', async () => {
  await using imap = await startImap({ mode: 'starttls' });
  await using client = await imap.connect();
  const before = process.memoryUsage().rss;
  const chunk = 'x'.repeat(64 * 1024);
  let ended = false;
  void client.closed.then(() => {
    ended = true;
  });
  for (let count = 0; count < 1000 && !ended; count += 1) {
    client.write(chunk);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const said = (await client.rest()).map(({ text }) => text);
  assert.ok(said.length === 0 || /BAD|BYE/.test(said.join()), said.join());
  assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
});

test('literals are refused before they are read: too big, before login, in the clear, out of memory', async () => {
  await using imap = await startImap({
    options: { maxMessageSize: 1_000_000 },
    // One peer's share: the rest is for others.
    byteBudget: createByteBudget(15_000_000, 1_500_000),
  });
  await using stranger = await imap.connect();
  stranger.write('a APPEND INBOX {900000}\r\n');
  assert.match((await stranger.next()).text, /^a BAD /);
  stranger.write('b LOGIN {900000+}\r\n');
  stranger.write(Buffer.alloc(50_000, 'x'));
  stranger.write(Buffer.alloc(50_000, 'x'));
  assert.match((await stranger.next()).text, /^b BAD /);

  await using client = await imap.login();
  client.write('a APPEND INBOX {1000001}\r\n');
  assert.equal((await client.next()).text, 'a NO [TOOBIG] Message too large');
  client.write(`b APPEND INBOX {1000001+}\r\n${'x'.repeat(1_000_001)}\r\n`);
  assert.equal((await client.next()).text, 'b NO [TOOBIG] Message too large');
  client.write('c FETCH {70000}\r\n');
  assert.match((await client.next()).text, /^c BAD /);
  client.write('d APPEND INBOX {4000000000000}\r\n');
  assert.match((await client.next()).text, /^d /);
  assert.equal((await client.command('NOOP')).status, 'OK');

  // Two of 900 000 do not fit; when the first is gone, its place is free.
  {
    await using first = await imap.login();
    first.write('a APPEND INBOX {900000}\r\n');
    assert.match((await first.next()).text, /^\+/);
    client.write('e APPEND INBOX {900000}\r\n');
    assert.equal((await client.next()).text, 'e NO [LIMIT] Too much under way, try again later');
  }
  const message = Buffer.alloc(900_000, 'x');
  message.write('A: b\r\n\r\n');
  for (;;) {
    const answer = await client.command('APPEND INBOX ', message, '');
    if (answer.status === 'OK') break;
    assert.match(answer.text, /^\[LIMIT\]/);
  }
  assert.equal((await client.command('APPEND INBOX ', message, '')).status, 'OK');
});

test('who stops in the middle of a big literal, or of AUTHENTICATE, is sent away', async () => {
  const clock = createTestClock();
  await using imap = await startImap({ clock });
  await using uploader = await imap.login();
  uploader.write('a APPEND INBOX {900000}\r\n');
  assert.match((await uploader.next()).text, /^\+/);
  uploader.write('x'.repeat(1000));
  assert.equal((await (await imap.login()).command('NOOP')).status, 'OK');
  clock.advance(minute + second);
  assert.deepEqual(await uploader.rest(), []);

  await using undecided = await imap.connect();
  undecided.write('a AUTHENTICATE PLAIN\r\n');
  assert.equal((await undecided.next()).text, '+ ');
  clock.advance(minute + second);
  assert.deepEqual(
    (await undecided.rest()).map(({ text }) => text),
    ['* BYE Login took too long'],
  );
});

test('what is said in the clear after STARTTLS is never run', async () => {
  await using imap = await startImap({ mode: 'starttls' });
  for (const injected of ['b NOOP\r\n', 'b ']) {
    await using client = await imap.connect();
    client.write(`a STARTTLS\r\n${injected}`);
    assert.deepEqual(
      (await client.rest()).map(({ text }) => text),
      ['a OK Begin TLS negotiation now'],
    );
  }
  await using client = await imap.connect();
  client.write('a STARTTLS\r\n');
  await client.next();
  client.write('b NOOP\r\n');
  const rest = await client.rest();
  assert.ok(!rest.some(({ text }) => text.includes('b OK')));
});

test('what is no TLS, or stops half-way, costs nothing but its connection', async () => {
  const clock = createTestClock();
  await using imap = await startImap({ clock });
  const { port } = imap.listener;
  const open = (bytes: Buffer) =>
    new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.resume();
    });
  await open(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  await open(randomBytes(500));
  const silent = open(Buffer.from([0x16, 0x03, 0x01]));
  // Its deadline is set once it is accepted.
  while (clock.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(minute + 6 * second);
  await silent;
  await using client = await imap.login();
  assert.equal((await client.command('NOOP')).status, 'OK');
});

test('pipelined commands are answered in order, and not read further than they can be answered', async () => {
  await using imap = await startImap({ mode: 'starttls' });
  await using client = await imap.connect();
  const count = 20_000;
  const lines = Array.from({ length: count }, (_, at) => `n${at} NOOP\r\n`).join('');
  client.write(lines);
  for (let at = 0; at < count; at += 1) assert.equal((await client.next()).text, `n${at} OK NOOP completed`);

  // A client that never reads is held back by TCP.
  await using deaf = await imap.connect();
  deaf.socket.pause();
  let flowing = true;
  let sent = 0;
  while (flowing && sent < 200 * 1024 * 1024) {
    flowing = deaf.socket.write(lines);
    sent += lines.length;
    if (!flowing) {
      flowing = await Promise.race([
        new Promise<boolean>((resolve) => deaf.socket.once('drain', () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
      ]);
    }
  }
  assert.equal(flowing, false, 'the server went on reading');
});

test('COMPRESS: works both ways, is offered once, and a bomb is neither kept nor run for ever', async () => {
  await using imap = await startImap({ options: { compress: true }, mode: 'starttls' });
  await imap.deliver(MAIL);
  await using client = await imap.login();
  assert.match((await client.command('CAPABILITY')).untagged[0] ?? '', / COMPRESS=DEFLATE$/);
  await client.compress();
  assert.doesNotMatch((await client.command('CAPABILITY')).untagged[0] ?? '', /COMPRESS/);
  assert.match((await client.command('COMPRESS DEFLATE')).text, /^\[COMPRESSIONACTIVE\]/);
  await client.command('SELECT INBOX');
  const big = `${MAIL}${'line\r\n'.repeat(200_000)}`;
  assert.equal((await client.command('APPEND INBOX ', big, '')).status, 'OK');
  const { responses } = await client.command('UID FETCH 2 BODY.PEEK[]');
  assert.equal(String(responses[0]?.literals[0]), big);

  await using bomber = await imap.login();
  const answer = await bomber.command('COMPRESS DEFLATE');
  assert.equal(answer.status, 'OK');
  const bomb = deflateRawSync(Buffer.alloc(300 * 1024 * 1024, 'x'));
  // Our own making of it is not what is measured.
  const before = process.memoryUsage().rss;
  bomber.write(bomb);
  await bomber.closed;
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024);
  await using garbler = await imap.login();
  await garbler.command('COMPRESS DEFLATE');
  garbler.write(Buffer.alloc(100, 0xff));
  await garbler.closed;
  assert.equal((await client.command('NOOP')).status, 'OK');

  await using plain = await startImap();
  await using other = await plain.login();
  assert.equal((await other.command('COMPRESS DEFLATE')).status, 'BAD');
});

test('a reader who stands still holds up nobody and keeps little; when he goes, all he held is free', async () => {
  const budget = createByteBudget(64 * 1024 * 1024);
  await using imap = await startImap({ byteBudget: budget, mode: 'starttls' });
  await imap.deliver(Buffer.concat([Buffer.from(MAIL), Buffer.alloc(20 * 1024 * 1024, 'x')]));
  const before = process.memoryUsage().rss;
  const slow = await Promise.all(Array.from({ length: 10 }, () => imap.login()));
  for (const client of slow) {
    await client.command('SELECT INBOX');
    client.socket.pause();
    client.write('a UID FETCH 1 BODY.PEEK[]\r\n');
  }
  await using client = await imap.login(ADDRESS);
  await client.command('SELECT INBOX');
  const { responses } = await client.command('UID FETCH 1 BODY.PEEK[]');
  assert.equal(responses[0]?.literals[0]?.length, 20 * 1024 * 1024 + MAIL.length);
  // Mostly what this client has in its own hands.
  assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024);
  for (const each of slow) await each[Symbol.asyncDispose]();
  for (;;) {
    const all = budget.reserve(64 * 1024 * 1024);
    if (all) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
});

test('LIST patterns full of wildcards cost little', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  await client.command(`CREATE ${'a'.repeat(120)}`);
  const started = performance.now();
  await client.command('LIST "" "*a*a*a*a*a*a*a*a*a*a*b"');
  assert.ok(performance.now() - started < 500);
});

test('a message whose header would hold the main loop is not taken', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  const message = `${'X: y\r\n'.repeat(MAX_HEADER_BYTES / 6 + 1)}\r\nbody`;
  const answer = await client.command('APPEND INBOX ', message, '');
  assert.equal(`${answer.status} ${answer.text}`, 'NO [CANNOT] Header too large');
});

test('a SEARCH that asks much of each message lets others have their turn', async () => {
  await using imap = await startImap();
  for (let n = 0; n < 200; n += 1) await imap.deliver(MAIL);
  await using client = await imap.login();
  await using other = await imap.login();
  await client.command('SELECT INBOX');
  const keywords = Array.from({ length: 60 }, (_, n) => `Keyword${n}`).join(' ');
  assert.equal((await client.command(`STORE 1:* +FLAGS.SILENT (${keywords})`)).status, 'OK');
  const dear = [
    `${'OR KEYWORD none '.repeat(900)}KEYWORD none`,
    `${'OR FROM none '.repeat(49)}FROM none`,
    `${'OR TEXT none '.repeat(19)}TEXT none`,
  ];
  for (const keys of dear) {
    const order: string[] = [];
    const search = client.command(`SEARCH ${keys}`).then(({ status }) => order.push(`SEARCH ${status}`));
    const noop = other.command('NOOP').then(({ status }) => order.push(`NOOP ${status}`));
    await Promise.all([search, noop]);
    assert.deepEqual(order, ['NOOP OK', 'SEARCH OK'], keys.slice(0, 20));
  }
  assert.equal((await client.command(`SEARCH ${'OR FROM none '.repeat(50)}FROM none`)).status, 'BAD');
});
