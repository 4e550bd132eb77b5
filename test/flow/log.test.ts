import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { pino } from 'pino';
import { createDnsServer } from '../harness/dns-server.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import { makeDkimKey, signMessage } from '../harness/signed-mail.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import type { SmtpClientOptions } from '../harness/smtp-client.ts';

/** Stands in every password, token, subject, body, foreign address and nonsense below, and in nothing else. */
const SECRET = 'Xyzzy';
/** A peer of its own among loopback addresses. */
const PEER = '127.0.77.1';

test('the log says what happened and never who wrote what from where: no content, password, token, peer', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'trace', base: null }, { write: (line: string) => void lines.push(line) });
  const answers = [500, 410];
  const notifier = createServer((request, response) => {
    request.resume();
    response.writeHead(answers.shift() ?? 200).end(SECRET);
  }).listen(0, '127.0.0.1');
  await once(notifier, 'listening');
  const port = (notifier.address() as AddressInfo).port;
  await using dns = await createDnsServer();
  const key = makeDkimKey();
  dns.setTxt('sel._domainkey.chat.test', key.record);
  dns.fail('late._domainkey.chat.test');
  const env = { TEAL_DNS_SERVERS: dns.address, TEAL_NOTIFIER_URL: `http://127.0.0.1:${port}/` };
  const relay = await startTestRelay(env, { log });
  try {
    const { ports, domain } = relay;
    const [alice, bob] = [`aliceinch@${domain}`, `bobinchat@${domain}`];
    const password = `${SECRET} of a password`;
    const smtp = (options: Omit<SmtpClientOptions, 'from'>) => connectSmtp({ ...options, from: PEER });

    const imap = await connectImap({ port: ports.imaps_port, tls: true });
    await imap.command(`LOGIN ${bob} "${password}"`);
    for (const token of ['one', 'two'])
      await imap.command(`SETMETADATA INBOX (/private/devicetoken "${SECRET}-${token}")`);
    await imap.command('SELECT INBOX');
    const subject = `Subject: ${SECRET}\r\nFrom: ${alice}\r\n\r\n${SECRET}\r\n`;
    await imap.command('APPEND INBOX +', subject, '');
    for (const line of [
      `${SECRET} ${SECRET}`,
      `SELECT ${SECRET}`,
      `SEARCH SUBJECT ${SECRET}`,
      `CREATE ${SECRET}`,
    ])
      await imap.command(line);
    const user = await smtp({ port: ports.submissions_port, tls: true });
    assert.equal((await user.login(alice, `not ${password}`)).code, 235);
    assert.equal((await user.deliver(alice, [bob, `${SECRET}@${domain}`], mail({ from: alice }))).code, 250);
    for (const line of [`MAIL FROM:<${SECRET}@${domain}>`, `MAIL FROM:<${alice}> ${SECRET}=1`, `${SECRET}`])
      await user.command(line);
    for (const bent of [{ contentType: `Content-Type: text/${SECRET}` }, { from: `${SECRET}@${domain}` }]) {
      const message = mail({ from: alice, headers: [`X-${SECRET}: ${SECRET}`], ...bent });
      assert.notEqual((await user.deliver(alice, [bob], message)).code, 250);
      await user.command('RSET');
    }
    assert.equal((await user.deliver(alice, [bob], `${SECRET}\r\n${SECRET}\r\n`)).code, 500);
    const guesser = await smtp({ port: ports.submissions_port, tls: true });
    const guess = async (login: string) => {
      await using stranger = await connectImap({ port: ports.imaps_port, tls: true });
      assert.equal((await stranger.command(`LOGIN ${login}`)).status, 'NO');
    };
    // Each of them is held back for two seconds.
    const [reply] = await Promise.all([
      guesser.login(alice, password),
      guess(`${bob} "not ${password}"`),
      guess(`${SECRET}@${domain} "${password}"`),
    ]);
    assert.equal(reply.code, 535);

    const outside = await smtp({ port: ports.smtp_port });
    await outside.startTls();
    await outside.command(`EHLO ${SECRET}.test`);
    const sign = (selector: string, from: string) =>
      signMessage(mail({ from }), { domain: 'chat.test', selector, key });
    for (const [message, code] of [
      [sign('sel', `${SECRET}@chat.test`), 250],
      [sign('late', `${SECRET}@chat.test`), 451],
      [sign('none', `${SECRET}@chat.test`), 554],
      [mail({ from: `${SECRET}@[192.0.2.1]` }), 554],
      [mail({ from: `${SECRET}@one.test, ${SECRET}@two.test` }), 500],
    ] as const) {
      assert.equal((await outside.deliver(`${SECRET}@chat.test`, [bob], message)).code, code);
      await outside.command('RSET');
    }
    // Who sent this is not proven, so nobody is told that there is no such recipient.
    const nobody = [`${SECRET}@${domain}`];
    const another = sign('sel', `${SECRET}@chat.test`);
    assert.equal((await outside.deliver(`${SECRET}@other.test`, nobody, another)).code, 250);
    await outside.command('MAIL FROM:<>');
    await outside.command(`RCPT TO:<${SECRET}@${SECRET}.test>`);

    // Connections that break: clear text to a TLS port, a reset.
    for (const tlsPort of [ports.submissions_port, ports.imaps_port]) {
      const socket = connect({ port: tlsPort, host: '127.0.0.1', localAddress: PEER });
      socket.on('error', () => undefined).end(`GET /${SECRET} HTTP/1.1\r\n\r\n`);
      socket.resume();
      await once(socket, 'close');
    }
    const reset = await smtp({ port: ports.smtp_port });
    reset.socket.resetAndDestroy();
    await reset.closed;
    for (const client of [outside, user, guesser]) client.socket.destroy();
  } finally {
    await relay[Symbol.asyncDispose]();
    notifier.closeAllConnections();
    notifier.close();
  }

  const told = new Set(lines.map((line) => (JSON.parse(line) as { event: string }).event));
  for (const event of [
    ...['account-created', 'logged-in', 'login-refused', 'message-submitted', 'message-received'],
    ...[
      'message-refused',
      'recipient-dropped',
      'bounce-sent',
      'push-failed',
      'token-dropped',
      'session-failed',
    ],
  ]) {
    assert.ok(told.has(event), `${event} was told: ${[...told].join(' ')}`);
  }
  assert.ok(
    !told.has('fault'),
    lines.find((line) => line.includes('"fault"')),
  );
  const leaks = lines.filter((line) => /xyzzy/i.test(line) || line.includes(PEER));
  assert.deepEqual(leaks, []);
});
