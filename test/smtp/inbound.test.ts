import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuse } from '../../src/errors.ts';
import { refused } from '../../src/mailflow/verdict.ts';
import { BOB, DOMAIN, MESSAGE, startInbound } from '../harness/smtp-listeners.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

test('before STARTTLS nothing but EHLO, HELO, NOOP, STARTTLS and QUIT is done', async () => {
  await using relay = await startInbound();
  await using client = await connectSmtp({ port: relay.port, ehlo: false });
  const refusal = '530 5.7.0 Must issue a STARTTLS command first';
  for (const line of [
    'MAIL FROM:<a@b.c>',
    `RCPT TO:<${BOB}>`,
    'DATA',
    'AUTH PLAIN',
    'RSET',
    'VRFY bob',
    'HELP',
    'XYZ',
  ]) {
    assert.equal((await client.command(line)).text, refusal, line);
  }
  assert.equal((await client.command('HELO client')).code, 250);
  assert.deepEqual((await client.command('EHLO client')).lines, [
    `250-${DOMAIN}`,
    '250-PIPELINING',
    '250-8BITMIME',
    '250-ENHANCEDSTATUSCODES',
    '250-STARTTLS',
    '250 SIZE 1048576',
  ]);
  assert.equal((await client.command('NOOP')).code, 250);
  assert.equal((await client.command('STARTTLS now')).code, 501);
  await client.startTls();
  assert.equal((await client.command('MAIL FROM:<a@b.c>')).code, 503, 'EHLO is forgotten (RFC 3207 4.2)');
  const { lines } = await client.command('EHLO client');
  assert.ok(!lines.some((line) => /STARTTLS|AUTH|SMTPUTF8|CHUNKING|DSN/.test(line)), lines.join());
  assert.equal((await client.command('STARTTLS')).code, 503);
  assert.match((await client.command('AUTH PLAIN AGEAYg==')).text, /^50[0-4] /);
  assert.equal((await client.command('QUIT')).code, 221);
  await client.closed;
});

test('TLS is 1.2 or newer', async () => {
  await using relay = await startInbound();
  await using old = await connectSmtp({ port: relay.port });
  await old.startTls({ maxVersion: 'TLSv1.2' });
  assert.equal((await old.command('EHLO client')).code, 250);
  await using older = await connectSmtp({ port: relay.port });
  await assert.rejects(
    older.startTls({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  );
});

test('mail for any address of ours is taken with its envelope, mail for others is not relayed', async () => {
  await using relay = await startInbound();
  await using client = await relay.connect();
  assert.equal(
    (await client.command('MAIL FROM:<Carol@Example.org> SIZE=500 BODY=8BITMIME')).text,
    '250 2.1.0 Ok',
  );
  assert.equal(
    (await client.command('RCPT TO:<mallory@example.org>')).text,
    '554 5.7.1 <mallory@example.org>: Relay access denied',
  );
  for (const address of [BOB, `Nobody+tag@${DOMAIN}`, `BOB@${DOMAIN}`]) {
    assert.equal((await client.command(`RCPT TO:<${address}>`)).text, '250 2.1.5 Ok', address);
  }
  assert.equal((await client.command('RCPT TO:<Postmaster>')).code, 250);
  assert.equal((await client.command('DATA')).code, 354);
  client.send(`${MESSAGE}.\r\n`);
  assert.equal((await client.reply()).text, '250 2.0.0 Ok: queued');
  assert.equal((await client.deliver('', [BOB], MESSAGE)).code, 250, 'a bounce');

  const [first, second] = relay.taken;
  assert.equal(first?.message.toString(), MESSAGE);
  assert.deepEqual(
    { ...first?.envelope, session: '' },
    {
      sender: 'Carol@Example.org',
      recipients: [`BOB@${DOMAIN}`, `Nobody+tag@${DOMAIN}`, `postmaster@${DOMAIN}`],
      peer: '127.0.0.1',
      session: '',
    },
  );
  assert.equal(second?.envelope.sender, '');
  assert.equal(second?.envelope.session, first?.envelope.session);
  assert.doesNotMatch(JSON.stringify(relay.log), /127\.0\.0\.1|Hello|mallory/);
});

test('commands out of order and wrong arguments get their reply and the session goes on', async () => {
  await using relay = await startInbound();
  await using client = await relay.connect();
  const table: readonly (readonly [string, string])[] = [
    [`RCPT TO:<${BOB}>`, '503 5.5.1 Error: need MAIL command'],
    ['DATA', '503 5.5.1 Error: need MAIL command'],
    ['MAIL FROM:<a@b@c>', '501 5.1.7 Bad sender address syntax'],
    ['MAIL FROM:<a@b.c> SMTPUTF8', '555 5.5.4 Unsupported option: SMTPUTF8'],
    ['MAIL FROM:<a@b.c> BODY=BINARYMIME', '501 5.5.4 Error: bad value of BODY'],
    ['MAIL FROM:<a@b.c> SIZE=1048577', '552 5.3.4 Message size exceeds fixed limit'],
    ['MAIL FROM:<a@b.c> SIZE=1048576', '250 2.1.0 Ok'],
    ['MAIL FROM:<a@b.c>', '503 5.5.1 Error: nested MAIL command'],
    ['DATA', '554 5.5.1 Error: no valid recipients'],
    ['RCPT TO:<bob@@b>', '501 5.1.3 Bad recipient address syntax'],
    [`RCPT TO:<${BOB}> NOTIFY=NEVER`, '555 5.5.4 Unsupported option: NOTIFY'],
    [`RCPT TO:<${BOB}>`, '250 2.1.5 Ok'],
    ['DATA now', '501 5.5.4 Error: DATA takes no argument'],
    ['RSET', '250 2.0.0 Flushed'],
    [`RCPT TO:<${BOB}>`, '503 5.5.1 Error: need MAIL command'],
    ['BDAT 10 LAST', '500 5.5.2 Error: command not recognized'],
    ['VRFY bob', '252 2.0.0 Send some mail, it will be tried'],
    ['VRFY nobody', '252 2.0.0 Send some mail, it will be tried'],
    ['VRFY', '252 2.0.0 Send some mail, it will be tried'],
    ['NOOP', '250 2.0.0 OK'],
  ];
  for (const [line, reply] of table) assert.equal((await client.command(line)).text, reply, line);
  assert.equal((await client.deliver('a@b.c', [BOB], MESSAGE)).code, 250);
  assert.equal(relay.taken.length, 1);
});

test('a thousand recipients are taken, one more is asked to wait, one named twice counts once', async () => {
  await using relay = await startInbound();
  await using client = await relay.connect();
  await client.command('MAIL FROM:<a@b.c>');
  client.send(Array.from({ length: 1001 }, (_, n) => `RCPT TO:<user${n}@${DOMAIN}>\r\n`).join(''));
  for (let n = 0; n < 1000; n += 1) assert.equal((await client.reply()).code, 250, `recipient ${n}`);
  assert.equal((await client.reply()).text, '452 4.5.3 Error: too many recipients');
  assert.equal((await client.command(`RCPT TO:<USER7@${DOMAIN}>`)).code, 250);
  await client.command('DATA');
  client.send(`${MESSAGE}.\r\n`);
  assert.equal((await client.reply()).code, 250);
  assert.equal(relay.taken[0]?.envelope.recipients.length, 1000);
});

test('a whole transaction may be pipelined, several of them, and cut anywhere', async () => {
  await using relay = await startInbound();
  const transaction = `MAIL FROM:<a@b.c>\r\nRCPT TO:<${BOB}>\r\nDATA\r\n${MESSAGE}..\r\n.\r\n`;
  const wire = Buffer.from(`${transaction}${transaction}NOOP\r\nQUIT\r\n`);
  for (const size of [wire.length, 7, 1]) {
    await using client = await relay.connect();
    for (let at = 0; at < wire.length; at += size) client.send(wire.subarray(at, at + size));
    const codes = [];
    for (let n = 0; n < 10; n += 1) codes.push((await client.reply()).code);
    assert.deepEqual(codes, [250, 250, 354, 250, 250, 250, 354, 250, 250, 221], `pieces of ${size}`);
    await client.closed;
  }
  assert.equal(relay.taken.length, 6);
  for (const { message } of relay.taken) assert.equal(message.toString(), `${MESSAGE}.\r\n`);
});

test('the verdict is told to the letter, and a fault of ours is a temporary failure', async () => {
  const verdicts = [
    refused(refuse('not_encrypted', 'x')),
    refused(refuse('dkim_missing', 'x')),
    refused(refuse('dkim_temporary', 'x')),
    refused(refuse('malformed_message', 'x', { reason: 'no header' })),
    refused(refuse('store_unavailable', 'x')),
  ];
  const expected = [
    '523 Encryption Needed: Invalid Unencrypted Mail',
    '554 5.7.1 No DKIM signature found: No valid DKIM signature found',
    '451 4.7.5 DKIM key could not be fetched, try again later',
    '500 Failed to parse message: no header',
    '451 4.3.0 Mail store does not answer, try again later',
    '451 4.3.0 Internal error, try again later',
  ];
  await using relay = await startInbound({
    take: async () => {
      const verdict = verdicts.shift();
      if (verdict === undefined) throw new Error('a fault');
      return verdict;
    },
  });
  await using client = await relay.connect();
  for (const reply of expected) assert.equal((await client.deliver('a@b.c', [BOB], MESSAGE)).text, reply);
  assert.ok(relay.log.some(({ event }) => event === 'fault'));
});

test('DATA that cannot be a message is refused once it has been read, and the next one is taken', async () => {
  await using relay = await startInbound({ maxMessageSize: 10_000 });
  await using client = await relay.connect();
  const table: readonly (readonly [string, string])[] = [
    ['.\r\n', '554 5.6.0 Empty message'],
    ['a\0b\r\n.\r\n', '554 5.6.0 Message contains a NUL byte'],
    ['a\nb\r\n.\r\n', '500 Invalid DATA'],
    ['a\rb\r\n.\r\n', '500 Invalid DATA'],
    [`${'x'.repeat(9_999)}\r\n.\r\n`, '552 5.3.4 Message size exceeds fixed limit'],
    [`${'x\r\n'.repeat(300_000)}.\r\n`, '552 5.3.4 Message size exceeds fixed limit'],
    [`${'x'.repeat(9_998)}\r\n.\r\n`, '250 2.0.0 Ok: queued'],
    ['\r\n.\r\n', '250 2.0.0 Ok: queued'],
    ['QUIT\r\nRSET\r\n.\r\n', '250 2.0.0 Ok: queued'],
    ['\xc3\xa4\xff\r\n.\r\n', '250 2.0.0 Ok: queued'],
  ];
  for (const [data, reply] of table) {
    await client.command('MAIL FROM:<a@b.c>');
    await client.command(`RCPT TO:<${BOB}>`);
    assert.equal((await client.command('DATA')).code, 354);
    client.send(data);
    assert.equal((await client.reply()).text, reply, JSON.stringify(data.slice(0, 20)));
  }
  assert.deepEqual(
    relay.taken.map(({ message }) => message.toString('latin1')),
    [`${'x'.repeat(9_998)}\r\n`, '\r\n', 'QUIT\r\nRSET\r\n', '\xc3\xa4\xff\r\n'],
  );
});
