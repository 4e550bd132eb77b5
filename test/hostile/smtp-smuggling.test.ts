import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, BOB, MESSAGE, startInbound, startSubmission } from '../harness/smtp-listeners.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

/** What a second message would look like to a server that took a false end of DATA for the true one. */
const smuggled = (sender: string) => `MAIL FROM:<${sender}>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n${MESSAGE}`;

/** Ends of DATA that some server somewhere takes or took for one. */
const fakeEnds = [
  '\n.\n',
  '\n.\r\n',
  '\r\n.\n',
  '\r\n.\r',
  '\r.\r',
  '\r.\r\n',
  '\n.\r',
  '\r.\n',
  '\r\n\0.\r\n',
  '\r\n.\0\r\n',
  '\r\n.\r\0\n',
  '\r\n.\r\r\n',
  '\r\r\n.\r\n\n',
].filter((end) => !end.includes('\r\n.\r\n'));

test('no false end of DATA ends a message, and a message that holds one is refused as a whole', async () => {
  for (const start of [startInbound, startSubmission]) {
    await using relay = await start();
    await using client = await relay.connect();
    for (const end of fakeEnds) {
      const name = JSON.stringify(end);
      client.send(`MAIL FROM:<${ALICE}>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`);
      for (const code of [250, 250, 354]) assert.equal((await client.reply()).code, code, name);
      client.send(`${MESSAGE}${end}${smuggled(ALICE)}\r\n.\r\n`);
      assert.match(
        (await client.reply()).text,
        /^(500 Invalid DATA|554 5\.6\.0 Message contains a NUL byte)$/,
        name,
      );
      assert.equal((await client.command('NOOP')).text, '250 2.0.0 OK', `${name}: in step`);
      relay.clock.advance(60_000);
    }
    assert.deepEqual(relay.taken, []);
  }
});

test('a false end is none either when the network cuts it anywhere', async () => {
  await using relay = await startInbound();
  await using client = await relay.connect();
  for (const end of fakeEnds) {
    client.send(`MAIL FROM:<a@b.c>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`);
    for (const code of [250, 250, 354]) assert.equal((await client.reply()).code, code);
    for (const byte of Buffer.from(`x${end}QUIT\r\n.\r\n`)) client.send(Buffer.from([byte]));
    assert.match((await client.reply()).text, /^5/, JSON.stringify(end));
  }
  assert.deepEqual(relay.taken, []);
});

test('a line of commands that ends in a bare LF or holds a bare CR is not carried out', async () => {
  await using relay = await startInbound();
  await using client = await relay.connect();
  const refusal = '500 5.5.2 Error: a line ends in CRLF';
  for (const line of [
    'MAIL FROM:<a@b.c>\n',
    'NOOP\rMAIL FROM:<a@b.c>\r\n',
    '\rMAIL FROM:<a@b.c>\r\n',
    '\n',
  ]) {
    client.send(line);
    assert.equal((await client.reply()).text, refusal, JSON.stringify(line));
  }
  assert.equal((await client.command(`RCPT TO:<${BOB}>`)).code, 503, 'no MAIL was taken');
});

test('QUIT within DATA is text, and a connection that then ends delivers nothing', async () => {
  await using relay = await startSubmission();
  for (const last of ['QUIT\r\n', '', '\r\n', '\r\n.', '\r\n.\r', 'QUIT']) {
    const client = await relay.connect();
    client.send(`MAIL FROM:<${ALICE}>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n`);
    for (const code of [250, 250, 354]) assert.equal((await client.reply()).code, code);
    client.send(`${MESSAGE}${last}`);
    client.socket.end();
    await client.closed;
    await relay.empty();
    relay.clock.advance(60_000);
  }
  assert.deepEqual(relay.taken, []);
});

test('half a command at the end of a connection is not carried out', async () => {
  const asked: string[] = [];
  await using relay = await startInbound({
    isLocal: (address) => {
      asked.push(address);
      return true;
    },
  });
  await using client = await relay.connect();
  await client.command('MAIL FROM:<a@b.c>');
  client.send(`RCPT TO:<${BOB}>`);
  client.socket.end();
  await client.closed;
  await relay.empty();
  assert.deepEqual(asked, []);
});

test('what is sent in the clear along with STARTTLS is never carried out', async () => {
  for (const [start, injected] of [
    [startInbound, `EHLO evil\r\nMAIL FROM:<evil@b.c>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n${MESSAGE}.\r\n`],
    [() => startSubmission({ mode: 'starttls' }), 'EHLO evil\r\nNOOP\r\n'],
  ] as const) {
    await using relay = await start();
    for (const more of [injected, injected.repeat(50), 'NOOP', 'X'.repeat(5000)]) {
      await using client = await connectSmtp({ port: relay.port });
      // In the same packet, so that they are there before the handshake begins.
      client.send(`STARTTLS\r\n${more}`);
      assert.equal((await client.reply()).code, 220);
      await client.handshake();
      // Nothing was answered meanwhile, and EHLO was not heard.
      assert.match((await client.command('MAIL FROM:<a@b.c>')).text, /^503 .*EHLO/);
      assert.match((await client.command('EHLO client')).text, /^250-/);
    }
    assert.deepEqual(relay.taken, []);
  }
});
