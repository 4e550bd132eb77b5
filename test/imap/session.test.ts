import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import { CLOSE_TIMEOUT } from '../../src/imap/connection.ts';
import { startImap } from '../harness/imap-server.ts';
import { createTestClock } from '../harness/clock.ts';
import { selfSigned } from '../harness/self-signed.ts';
import { connectImap } from '../harness/imap-client.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import { createAdmission } from '../../src/limits/admission.ts';
import { ADDRESS } from '../harness/imap-server.ts';
import { StoreUnavailable } from '../../src/store/contract.ts';
import { minute, second } from '../../src/clock.ts';

const MAIL = 'From: bob@_teal.test\r\nMessage-ID: <1@x>\r\nSubject: [...]\r\n\r\nhello\r\n';

test('walks through what Delta Chat does with one message', async () => {
  await using imap = await startImap();
  await using client = await imap.connect();
  const before =
    'IMAP4rev1 LITERAL+ SASL-IR ID IDLE UIDPLUS MOVE CHILDREN NAMESPACE CONDSTORE ENABLE UNSELECT QUOTA METADATA XDELTAPUSH XCHATMAIL';
  assert.equal(client.greeting, `* OK [CAPABILITY ${before} AUTH=PLAIN] Teal ready`);
  const login = await client.command(`LOGIN "${ADDRESS}" "secret"`);
  assert.equal(login.text, `[CAPABILITY ${before}] Logged in`);
  assert.deepEqual((await client.command('ID ("name" "Delta Chat")')).untagged, ['* ID ("name" "Teal")']);
  const quota = await client.command('GETQUOTAROOT "INBOX"');
  assert.deepEqual(quota.untagged, [
    '* QUOTAROOT "INBOX" "User quota"',
    '* QUOTA "User quota" (STORAGE 0 102400)',
  ]);

  const selected = await client.command('SELECT "INBOX"');
  assert.deepEqual(
    selected.untagged.map((line) => line.replace(/UIDVALIDITY \d+/, 'UIDVALIDITY n')),
    [
      '* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)',
      '* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags that stay',
      '* 0 EXISTS',
      '* 0 RECENT',
      '* OK [UIDVALIDITY n] UIDs valid',
      '* OK [UIDNEXT 1] Predicted next UID',
      '* OK [HIGHESTMODSEQ 1] Highest',
    ],
  );
  assert.equal(selected.text, '[READ-WRITE] SELECT completed');

  client.write('I1 IDLE\r\n');
  assert.equal((await client.next()).text, '+ idling');
  await imap.deliver(MAIL);
  assert.equal((await client.next()).text, '* 1 EXISTS');
  client.write('DONE\r\n');
  assert.equal((await client.until('I1')).status, 'OK');

  const prefetch = await client.command(
    'UID FETCH 1:500 (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM CONTENT-TYPE)])',
  );
  assert.deepEqual(prefetch.untagged, [
    `* 1 FETCH (UID 1 RFC822.SIZE ${MAIL.length} BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM CONTENT-TYPE)] {43}\r\n` +
      'From: bob@_teal.test\r\nMessage-ID: <1@x>\r\n\r\n)',
  ]);
  const body = await client.command('UID FETCH 1 (FLAGS BODY.PEEK[])');
  assert.deepEqual(body.untagged, [`* 1 FETCH (UID 1 FLAGS () BODY[] {${MAIL.length}}\r\n${MAIL})`]);
  const stored = await client.command('UID STORE 1 +FLAGS (\\Deleted)');
  assert.deepEqual(stored.untagged, ['* 1 FETCH (UID 1 FLAGS (\\Deleted))']);
  assert.deepEqual((await client.command('CLOSE')).untagged, []);
  const again = await client.command('SELECT "INBOX"');
  assert.ok(again.untagged.includes('* 0 EXISTS'));
  assert.ok(again.untagged.some((line) => line.includes('[UIDNEXT 2]')));
});

test('STARTTLS: nothing but that in the clear, then as on 993', async () => {
  await using imap = await startImap({ mode: 'starttls' });
  await using client = await imap.connect();
  assert.match(client.greeting, /XCHATMAIL STARTTLS LOGINDISABLED\] /);
  assert.doesNotMatch(client.greeting, /AUTH=/);
  assert.match((await client.command(`LOGIN ${ADDRESS} secret`)).text, /^\[PRIVACYREQUIRED\]/);
  assert.match((await client.command('AUTHENTICATE PLAIN')).text, /^\[PRIVACYREQUIRED\]/);
  assert.match((await client.command('LOGIN ', ADDRESS, ' secret')).text, /^\[PRIVACYREQUIRED\]/);
  assert.equal((await client.command('SELECT INBOX')).status, 'BAD');
  await client.startTls();
  const capability = await client.command('CAPABILITY');
  assert.match(capability.untagged[0] ?? '', /AUTH=PLAIN$/);
  assert.doesNotMatch(capability.untagged[0] ?? '', /STARTTLS|LOGINDISABLED/);
  assert.equal((await client.command('STARTTLS')).status, 'BAD');
  assert.equal((await client.command(`LOGIN ${ADDRESS} secret`)).status, 'OK');
});

test('a certificate that is replaced serves the next connection, without SNI too', async () => {
  const certificate = createCertificate(await selfSigned('_one.test'));
  await using imap = await startImap({ certificate });
  const nameOf = async () => {
    await using client = await imap.connect();
    const { socket } = client;
    return 'getPeerCertificate' in socket ? (socket as TLSSocket).getPeerCertificate().subject.CN : '';
  };
  assert.equal(await nameOf(), '_one.test');
  certificate.replace(await selfSigned('_two.test'));
  assert.equal(await nameOf(), '_two.test');
});

test('TLS is 1.3 at least, and ALPN is imap or nothing', async () => {
  await using imap = await startImap();
  const { port } = imap.listener;
  await using client = await connectImap({ port, tls: true, alpn: ['imap'] });
  const socket = client.socket as TLSSocket;
  assert.equal(socket.getProtocol(), 'TLSv1.3');
  assert.equal(socket.alpnProtocol, 'imap');
  await assert.rejects(connectImap({ port, tls: true, alpn: ['http/1.1'] }), /no application protocol/i);
  await assert.rejects(connectImap({ port, tls: true, maxVersion: 'TLSv1.2' }), /protocol version/i);
});

test('AUTHENTICATE PLAIN with and without an initial response', async () => {
  await using imap = await startImap();
  const plain = (text: string) => Buffer.from(text).toString('base64');
  const cases: [string, string | undefined, RegExp][] = [
    [`AUTHENTICATE PLAIN ${plain(`\0${ADDRESS}\0secret`)}`, undefined, /^OK \[CAPABILITY .*Logged in/],
    ['AUTHENTICATE PLAIN', plain(`\0${ADDRESS}\0secret`), /^OK/],
    ['AUTHENTICATE PLAIN', plain(`${ADDRESS}\0${ADDRESS}\0secret`), /^OK/],
    ['AUTHENTICATE PLAIN', plain(`root\0${ADDRESS}\0secret`), /^NO \[AUTHENTICATIONFAILED\]/],
    ['AUTHENTICATE PLAIN', plain(`\0${ADDRESS}\0wrong`), /^NO \[AUTHENTICATIONFAILED\] Invalid credentials/],
    ['AUTHENTICATE PLAIN', '*', /^BAD/],
    ['AUTHENTICATE PLAIN', 'no base64!', /^BAD/],
    ['AUTHENTICATE PLAIN', plain('no nul'), /^BAD/],
    ['AUTHENTICATE CRAM-MD5', undefined, /^NO \[CANNOT\]/],
  ];
  for (const [command, response, expected] of cases) {
    await using client = await imap.connect();
    client.write(`a ${command}\r\n`);
    if (response !== undefined) {
      assert.equal((await client.next()).text, '+ ');
      client.write(`${response}\r\n`);
    }
    const { status, text } = await client.until('a');
    assert.match(`${status} ${text}`, expected, `${command} ${response ?? ''}`);
    assert.equal((await client.command('NOOP')).status, 'OK');
  }
});

test('five refused logins end the connection; a store that is down is not called a failed authentication', async () => {
  await using imap = await startImap();
  await using client = await imap.connect();
  const down = await client.command(`LOGIN ${ADDRESS} down`);
  assert.equal(down.status, 'NO');
  assert.match(down.text, /^\[UNAVAILABLE\]/);
  assert.doesNotMatch(down.text, /authentication/i);
  for (let count = 0; count < 5; count += 1) {
    const { status, text } = await client.command(`LOGIN ${ADDRESS} wrong`);
    assert.equal(`${status} ${text}`, 'NO [AUTHENTICATIONFAILED] Invalid credentials');
  }
  assert.match((await client.next()).text, /^\* BYE /);
  await client.closed;
});

test('each command has its state', async () => {
  await using imap = await startImap();
  await using client = await imap.connect();
  for (const command of ['SELECT INBOX', 'IDLE', 'FETCH 1 FLAGS', 'ENABLE CONDSTORE', 'COMPRESS DEFLATE']) {
    assert.equal((await client.command(command)).status, 'BAD', command);
  }
  assert.equal((await client.command(`LOGIN ${ADDRESS} secret`)).status, 'OK');
  assert.equal((await client.command(`LOGIN ${ADDRESS} secret`)).status, 'BAD');
  for (const command of ['FETCH 1 FLAGS', 'CLOSE', 'EXPUNGE', 'SEARCH ALL', 'UNSELECT', 'CHECK']) {
    assert.equal((await client.command(command)).status, 'BAD', command);
  }
  assert.match((await client.command('SELECT nowhere')).text, /^\[NONEXISTENT\]/);
  assert.equal((await client.command('SELECT INBOX')).status, 'OK');
  // RFC 9051 6.3.2: a SELECT that fails leaves nothing selected.
  assert.equal((await client.command('SELECT nowhere')).status, 'NO');
  assert.equal((await client.command('CHECK')).status, 'BAD');
  assert.deepEqual((await client.command('LOGOUT')).untagged, ['* BYE Logging out']);
  await client.closed;
});

test('a failure of the store that may pass drops the connection with BYE and never says NO', async () => {
  const fail = async () => {
    throw new StoreUnavailable('disk');
  };
  let broken = '';
  await using imap = await startImap({
    wrapStore: (store) => ({
      ...store,
      mailboxes: {
        ...store.mailboxes,
        find: (...all) => (broken === 'find' ? fail() : store.mailboxes.find(...all)),
      },
      accounts: {
        ...store.accounts,
        quota: (...all) => (broken === 'quota' ? fail() : store.accounts.quota(...all)),
      },
      messages: {
        ...store.messages,
        get: (...all) => (broken === 'get' ? fail() : store.messages.get(...all)),
        snapshot: (...all) => (broken === 'snapshot' ? fail() : store.messages.snapshot(...all)),
        storeFlags: (...all) => (broken === 'storeFlags' ? fail() : store.messages.storeFlags(...all)),
        headers: (...all) => (broken === 'headers' ? fail() : store.messages.headers(...all)),
        expunge: (...all) => (broken === 'expunge' ? fail() : store.messages.expunge(...all)),
        body: async (...all) => {
          const body = await store.messages.body(...all);
          return body && broken === 'read'
            ? {
                ...body,
                size: body.size,
                headerSize: body.headerSize,
                read: fail,
                [Symbol.asyncDispose]: () => body[Symbol.asyncDispose](),
              }
            : body;
        },
      },
    }),
  });
  await imap.deliver(MAIL);
  for (const [part, command] of [
    ['find', 'SELECT INBOX'],
    ['snapshot', 'SELECT INBOX'],
    ['get', 'UID FETCH 1 FLAGS'],
    ['headers', 'UID FETCH 1 ENVELOPE'],
    ['storeFlags', 'UID STORE 1 +FLAGS (\\Deleted)'],
    ['expunge', 'CLOSE'],
    ['quota', 'GETQUOTAROOT INBOX'],
  ] as const) {
    broken = '';
    await using client = await imap.login();
    assert.equal((await client.command('SELECT INBOX')).status, 'OK');
    broken = part;
    const bytes: Buffer[] = [];
    client.socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    client.write(`a ${command}\r\n`);
    const rest = (await client.rest()).map(({ text }) => text);
    assert.deepEqual(rest, ['* BYE [UNAVAILABLE] Temporary failure, try again later'], command);
    // Half a response: to Delta Chat a clean end would be the end of its answers (test/flow/broken-fetch.test.ts).
    assert.match(Buffer.concat(bytes).toString('latin1'), /\r\n\* $/, command);
  }
  // In the middle of a literal even BYE would be taken for mail.
  broken = '';
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  broken = 'read';
  const bytes: Buffer[] = [];
  client.socket.on('data', (chunk: Buffer) => bytes.push(chunk));
  client.write('a UID FETCH 1 BODY.PEEK[]\r\n');
  await client.closed;
  assert.doesNotMatch(Buffer.concat(bytes).toString('latin1'), /BYE|NO /);
});

test('an exception of ours ends its own session alone', async () => {
  await using imap = await startImap({
    wrapStore: (store) => ({
      ...store,
      accounts: {
        ...store.accounts,
        quota: async () => {
          throw new TypeError('a fault');
        },
      },
    }),
  });
  {
    await using other = await imap.login('other1234@_teal.test');
    await using client = await imap.login();
    client.write('a GETQUOTAROOT INBOX\r\n');
    assert.equal((await client.rest()).length, 1);
    assert.equal((await other.command('NOOP')).status, 'OK');
  }
  assert.equal(imap.faults[0], 'imap GETQUOTAROOT');
  imap.faults.length = 0;
});

test('silence ends a session: 60 s before login, 30 minutes after, never in IDLE, which says every 2 minutes that it lives', async () => {
  const clock = createTestClock();
  await using imap = await startImap({ clock });
  await using stranger = await imap.connect();
  await using idler = await imap.login();
  await using quiet = await imap.login();
  idler.write('a IDLE\r\n');
  assert.equal((await idler.next()).text, '+ idling');
  clock.advance(59 * second);
  assert.equal((await stranger.command('NOOP')).status, 'OK');
  clock.advance(2 * second);
  assert.deepEqual(
    (await stranger.rest()).map(({ text }) => text),
    ['* BYE Login took too long'],
  );
  for (let passed = 0; passed < 20; passed += 1) {
    clock.advance(2 * minute);
    assert.equal((await idler.next()).text, '* OK Still here');
    if (passed === 13) assert.equal((await quiet.command('NOOP')).status, 'OK');
    if (passed === 14) assert.equal((await quiet.command('NOOP')).status, 'OK');
  }
  clock.advance(22 * minute);
  assert.deepEqual(
    (await quiet.rest()).map(({ text }) => text),
    ['* BYE Nothing heard for 30 minutes'],
  );
  idler.write('DONE\r\n');
  assert.equal((await idler.until('a')).status, 'OK');
  // Nothing ticks for connections that are gone.
  await Promise.all([stranger, idler, quiet].map((client) => client[Symbol.asyncDispose]()));
});

test('who cannot be admitted is turned away, and leaving makes room', async () => {
  await using imap = await startImap({
    mode: 'starttls',
    admission: createAdmission({ max: 1, maxPerPeer: 1 }),
  });
  {
    await using _first = await imap.connect();
    await using second = await imap.connect();
    assert.match(second.greeting, /^\* BYE \[UNAVAILABLE\] Too many connections/);
  }
  await using _third = await imap.login();
});

test('shutting down says BYE to all', async () => {
  const imap = await startImap();
  const client = await imap.login();
  const idler = await imap.login();
  idler.write('a IDLE\r\n');
  await idler.next();
  const gone = imap[Symbol.asyncDispose]();
  for (const each of [client, idler]) {
    assert.deepEqual(
      (await each.rest()).map(({ text }) => text),
      ['* BYE [UNAVAILABLE] Shutting down, come again'],
    );
  }
  await gone;
});

test('an account that is removed takes its sessions along', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  await imap.store.accounts.remove((await imap.account()).id);
  assert.deepEqual(
    (await client.rest()).map(({ text }) => text),
    ['* BYE Account removed'],
  );
});

test('shutting down waits five seconds for a peer who does not close, not longer', async () => {
  const clock = createTestClock();
  const imap = await startImap({ mode: 'starttls', clock });
  const peer = connect({ port: imap.listener.port, host: '127.0.0.1', allowHalfOpen: true });
  await once(peer, 'data');
  const gone = imap[Symbol.asyncDispose]();
  let over = false;
  void gone.then(() => {
    over = true;
  });
  await once(peer, 'end');
  clock.advance(CLOSE_TIMEOUT - 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(over, false);
  clock.advance(1);
  await gone;
  peer.destroy();
});

test('serves a socket that has TLS already, as it comes from 443 by ALPN', async () => {
  await using imap = await startImap();
  const { key, cert } = await selfSigned();
  const server = createTlsServer({ key, cert, ALPNProtocols: ['imap', 'http/1.1'] }, (socket) =>
    imap.listener.serve(socket, socket.remoteAddress ?? ''),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    await using client = await connectImap({ port, tls: true, alpn: ['imap'] });
    assert.match(client.greeting, /AUTH=PLAIN\] /);
    assert.equal((await client.command(`LOGIN ${ADDRESS} secret`)).status, 'OK');
  } finally {
    server.close();
  }
});

test('while a mailbox is selected the next response has always begun, but for who takes COMPRESS or his leave', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  const bytes: Buffer[] = [];
  client.socket.on('data', (chunk: Buffer) => bytes.push(chunk));
  const endsIn = async (command: string) => {
    await client.command(command);
    return Buffer.concat(bytes.splice(0)).toString('latin1').slice(-4);
  };
  for (const [command, end] of [
    ['NOOP', 'ed\r\n'],
    ['SELECT INBOX', '\r\n* '],
    ['NOOP', '\r\n* '],
    ['UID FETCH 1:* FLAGS', '\r\n* '],
    ['NONSENSE', '\r\n* '],
    ['UNSELECT', 'ed\r\n'],
    ['SELECT INBOX', '\r\n* '],
    ['LOGOUT', 'ed\r\n'],
  ] as const)
    assert.equal(await endsIn(command), end, command);
});
