import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { Agent, request as httpsRequest } from 'node:https';
import { after, afterEach, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { refuse } from '../../src/errors.ts';
import { createHttps } from '../../src/http/https-listener.ts';
import { HEAD_TIME } from '../../src/http/connections.ts';
import { BODY_TIME, mxdelivRoutes } from '../../src/http/routes/mxdeliv.ts';
import type { Listener } from '../../src/http/listener.ts';
import { createWebApp } from '../../src/http/web-app.ts';
import { createAdmission } from '../../src/limits/admission.ts';
import { createByteBudget } from '../../src/limits/byte-budget.ts';
import { accepted, refused } from '../../src/mailflow/verdict.ts';
import type { Envelope, Verdict } from '../../src/mailflow/verdict.ts';
import { createEvents } from '../../src/observe/events.ts';
import { createLog } from '../../src/observe/log.ts';
import { systemRandom } from '../../src/machine.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import { connectImap } from '../harness/imap-client.ts';
import { createTestClock } from '../harness/clock.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import { armor, controlPart, dataPart, encryptedPackets, mail } from '../harness/encrypted-mail.ts';
import { startTestRelay } from '../harness/relay.ts';
import { selfSigned } from '../harness/self-signed.ts';
import { makeDkimKey, signMessage } from '../harness/signed-mail.ts';

type Fields = Record<string, string | string[]>;
interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A POST by HTTP/1.1. */
function post1(
  port: number,
  fields: Fields,
  body: string | Buffer,
  method = 'POST',
  path = '/mxdeliv',
  agent: Agent | false = false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: fields,
        rejectUnauthorized: false,
        agent,
        maxHeaderSize: 1 << 20,
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function dial2(port: number): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    maxSendHeaderBlockLength: 1 << 20,
  });
  session.on('error', () => {});
  return session;
}

/** A POST on a connection of HTTP/2. */
function post2(
  session: ClientHttp2Session,
  fields: Fields,
  body: string | Buffer,
  method = 'POST',
  path = '/mxdeliv',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': method, ':path': path, ...fields }, { endStream: false });
    let status = 0;
    let text = '';
    stream.on('response', (headers) => (status = Number(headers[':status'])));
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    stream.on('error', reject);
    const calledOff = async () => {
      // Where the answer comes before the end of the request, the server calls the rest off (RFC 9113 8.1).
      while (!stream.closed) await new Promise((next) => setImmediate(next));
      if (status !== 0) resolve({ status, text });
    };
    stream.once('end', () => void calledOff());
    stream.on('close', () => (status === 0 ? reject(new Error('no answer')) : resolve({ status, text })));
    stream.end(body);
  });
}

const [DATA, HEADERS, RST_STREAM, SETTINGS] = [0, 1, 3, 4];
const END_HEADERS = 4;

/** A frame of HTTP/2 (RFC 9113 4.1): node's client ends the body of a request before it takes the request back. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const start = Buffer.alloc(9);
  start.writeUIntBE(payload.length, 0, 3);
  start[3] = type;
  start[4] = flags;
  start.writeUInt32BE(stream, 5);
  return Buffer.concat([start, payload]);
}

/** The header of a delivery, each field a literal that is not indexed (RFC 7541 6.2.2). */
function head(stream: number): Buffer {
  const fields = { ':method': 'POST', ':path': '/mxdeliv', ':scheme': 'https', ':authority': 'x', ...here };
  const literal = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const block = Object.entries(fields).flatMap(([name, value]) => [
    Buffer.from([0]),
    literal(name.toLowerCase()),
    literal(String(value)),
  ]);
  return frame(HEADERS, END_HEADERS, stream, Buffer.concat(block));
}

function reset(stream: number, code: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(RST_STREAM, 0, stream, payload);
}

/** A connection on which HTTP/2 has begun. */
async function dialRaw(port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'secureConnect');
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(Buffer.concat([preface, frame(SETTINGS, 0, 0, Buffer.alloc(0))]));
  return socket;
}

const MAX_SIZE = 1024 * 1024;
const here: Fields = { 'X-MAIL-FROM': 'bob@other.test', 'X-MAIL-TO': 'alice@chat.test' };
const text = 'From: bob@other.test\r\n\r\nhello\r\n';

describe('POST /mxdeliv', () => {
  const clock = createTestClock();
  const admission = createAdmission({ max: 4, maxPerPeer: 4 });
  const byteBudget = createByteBudget(3 * MAX_SIZE);
  const received: { envelope: Envelope; message: string }[] = [];
  let verdict: () => Verdict | Promise<Verdict> = () => accepted;
  let listener: Listener;
  let session: ClientHttp2Session;
  const open = new AsyncDisposableStack();

  before(async () => {
    const events = createEvents(createLog('silent'));
    const { app, http2 } = createWebApp({ domain: 'chat.test', events });
    mxdelivRoutes(app, {
      take: async (envelope, message) => {
        received.push({ envelope, message: message.toString('latin1') });
        return verdict();
      },
      isLocal: (address) => address.toLowerCase().endsWith('@chat.test'),
      maxMessageSize: MAX_SIZE,
      byteBudget,
      admission,
      events,
      clock,
      random: systemRandom,
    });
    await app.ready();
    listener = open.use(
      await createHttps({
        host: '127.0.0.1',
        port: 0,
        certificate: createCertificate(await selfSigned('chat.test')),
        web: { http1: app.server, http2 },
        imap: { serve: (socket) => void socket.destroy() },
        smtp: { serve: (socket) => void socket.destroy() },
        alpnChallenge: () => Promise.resolve(undefined),
        admission: createAdmission({ max: 50, maxPerPeer: 50 }),
        events,
        clock,
      }),
    );
    session = dial2(listener.port);
    open.defer(() => session.destroy());
  });
  after(() => open[Symbol.asyncDispose]());
  afterEach(() => {
    received.length = 0;
    verdict = () => accepted;
    assert.equal(admission.count, 0, 'every place is given back');
    const all = byteBudget.reserve(3 * MAX_SIZE);
    assert.ok(all, 'every byte is given back');
    all();
  });

  /** After a hundred requests the server says good-bye. */
  function live(): ClientHttp2Session {
    if (session.closed || session.destroyed) session = dial2(listener.port);
    return session;
  }

  type Post = (fields: Fields, body: string | Buffer, method?: string, path?: string) => Promise<Answer>;
  const ways: [string, Post][] = [
    ['HTTP/1.1', (...rest) => post1(listener.port, ...rest)],
    [
      'HTTP/2',
      async (...rest) => {
        return post2(live(), ...rest);
      },
    ],
  ];

  for (const [way, post] of ways)
    describe(way, () => {
      test('takes a message: envelope from the header, dots unstuffed, with the dot at the end and without', async () => {
        for (const end of ['', '.\r\n']) {
          assert.deepEqual(await post(here, `${text}..\r\n..x\r\n${end}`), { status: 200, text: '250 OK' });
          const [{ envelope, message } = assert.fail()] = received.splice(0);
          assert.equal(message, `${text}.\r\n.x\r\n`);
          const { session: name, ...rest } = envelope;
          assert.match(name, /^mxdeliv-/);
          assert.deepEqual(rest, {
            sender: 'bob@other.test',
            recipients: ['alice@chat.test'],
            peer: '127.0.0.1',
          });
        }
        await post(here, text.slice(0, -2));
        assert.equal(received[0]?.message, text, 'the last line is ended');
      });

      test('no X-MAIL-FROM is the null sender; whatever follows the path and is said of the type', async () => {
        const fields = {
          'x-mail-to': '<alice@chat.test>',
          'content-type': 'application/x-www-form-urlencoded',
        };
        assert.equal((await post(fields, text, 'POST', '/mxdeliv/any/thing?x=1')).status, 200);
        assert.equal((await post({ ...fields, 'content-type': 'no type at all' }, text)).status, 200);
        assert.deepEqual(
          received.map(({ envelope }) => [envelope.sender, envelope.recipients]),
          [
            ['', ['alice@chat.test']],
            ['', ['alice@chat.test']],
          ],
        );
      });

      test('a thousand recipients, each once; one more is too many', async () => {
        const many = Array.from({ length: 1000 }, (_, index) =>
          `user-number-${String(index).padStart(70, '0')}@chat.test`.slice(-74),
        );
        const fields = { 'X-MAIL-FROM': 'bob@other.test', 'X-MAIL-TO': many };
        assert.equal((await post(fields, text)).status, 200);
        assert.deepEqual(received[0]?.envelope.recipients, many);
        assert.deepEqual(await post({ ...fields, 'X-MAIL-TO': [...many, 'one-more@chat.test'] }, text), {
          status: 400,
          text: '452 4.5.3 Error: too many recipients',
        });
      });

      const refusals: [string, Fields, string, RegExp][] = [
        [
          'elsewhere',
          { 'X-MAIL-TO': ['alice@chat.test', 'x@other.test'] },
          text,
          /^554 5\.7\.1 <x@other\.test>: Relay access denied$/,
        ],
        ['no recipient', { 'X-MAIL-FROM': 'bob@other.test' }, text, /^554 5\.5\.1 /],
        ['a recipient that is none', { 'X-MAIL-TO': 'a@b@chat.test' }, text, /^501 5\.1\.3 /],
        ['recipients in one field', { 'X-MAIL-TO': 'a@chat.test, b@chat.test' }, text, /^501 5\.1\.3 /],
        ['a sender that is none', { ...here, 'X-MAIL-FROM': 'bob' }, text, /^501 5\.1\.7 /],
        ['an empty body', here, '', /^554 5\.6\.0 Empty/],
        ['only the dot', here, '.\r\n', /^554 5\.6\.0 Empty/],
        ['a bare line feed', here, `${text}a\nb\r\n`, /^500 Invalid DATA$/],
        ['a bare carriage return', here, `${text}a\rb\r\n`, /^500 Invalid DATA$/],
        ['a bare carriage return at the end', here, `${text}a\r`, /^500 Invalid DATA$/],
        ['a NUL', here, `${text}a\0b\r\n`, /^554 5\.6\.0 Message contains a NUL/],
        ['a second message behind the dot', here, `${text}.\r\nMAIL FROM:<eve@x>\r\n`, /^500 Invalid DATA$/],
        [
          'a second message behind half a dot',
          here,
          `${text}\n.\r\nMAIL FROM:<eve@x>\r\n`,
          /^500 Invalid DATA$/,
        ],
      ];
      for (const [why, fields, body, says] of refusals)
        test(`refused: ${why}`, async () => {
          const answer = await post(fields, body);
          assert.equal(answer.status, 400);
          assert.match(answer.text, says);
          assert.deepEqual(received, []);
        });

      test('what the walk refuses is told as on port 25', async () => {
        verdict = () => refused(refuse('dkim_missing', ''));
        assert.deepEqual(await post(here, text), {
          status: 400,
          text: '554 5.7.1 No DKIM signature found: No valid DKIM signature found',
        });
        verdict = () => Promise.reject(new Error('fault'));
        assert.deepEqual(await post(here, text), {
          status: 400,
          text: '451 4.3.0 Internal error, try again later',
        });
      });

      test('any other method is not allowed', async () => {
        for (const method of ['GET', 'PUT', 'DELETE'])
          assert.deepEqual(await post(here, '', method), { status: 405, text: 'Method Not Allowed' });
      });

      test('the largest message is taken, a larger one is not, whether that is announced or not', async () => {
        const filled = (size: number) => text + 'x'.repeat(size - text.length - 2) + '\r\n';
        assert.equal((await post(here, filled(MAX_SIZE))).status, 200);
        assert.equal(received.splice(0)[0]?.message.length, MAX_SIZE);
        for (const size of [MAX_SIZE + 1, 3 * MAX_SIZE])
          for (const more of [{}, { 'content-length': String(size) }])
            assert.deepEqual(await post({ ...here, ...more }, filled(size)), {
              status: 413,
              text: '552 Message exceeds maximum size',
            });
        assert.equal((await post(here, text)).status, 200);
      });

      test('a header that is too large is refused, and the next is served', async () => {
        const answer = await post(
          { ...here, 'X-Filler': Array.from({ length: 150 }, () => 'x'.repeat(1000)) },
          text,
        ).catch((error: unknown) => error);
        assert.ok(answer instanceof Error || (answer as Answer).status === 431, JSON.stringify(answer));
        assert.deepEqual(received, []);
        assert.equal((await post(here, text)).status, 200);
      });
    });

  test('too many at once are told to come again; places come back', async () => {
    let go = () => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    verdict = () => held.then(() => accepted);
    const four = [1, 2, 3, 4].map(() => post2(live(), here, text));
    while (received.length < 4) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(await post2(live(), here, text), {
      status: 400,
      text: '421 4.7.0 Too many connections, try again later',
    });
    go();
    assert.deepEqual(
      (await Promise.all(four)).map(({ status }) => status),
      [200, 200, 200, 200],
    );
  });

  test('messages that do not fit in memory are told to come again', async () => {
    const all = byteBudget.reserve(3 * MAX_SIZE);
    assert.equal((await post1(listener.port, here, text)).text.slice(0, 3), '452');
    all?.();
  });

  test('a body that does not end in time is given up, by either way', async () => {
    const slow = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(slow, 'secureConnect');
    slow.on('error', () => {});
    slow.write(
      `POST /mxdeliv HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX-MAIL-TO: alice@chat.test\r\n\r\nFrom`,
    );
    const second = dial2(listener.port);
    const stream = second.request({ ':method': 'POST', ':path': '/mxdeliv', ...here }, { endStream: false });
    stream.on('error', () => {});
    stream.write('From');
    while (admission.count < 2) await new Promise((resolve) => setImmediate(resolve));
    const closed = Promise.all([once(slow, 'close'), once(stream, 'close')]);
    clock.advance(BODY_TIME);
    await closed;
    while (admission.count > 0) await new Promise((resolve) => setImmediate(resolve));
    second.destroy();
    session.destroy();
    assert.deepEqual(received, []);
  });

  test(
    'a body without end is refused at the limit, and its connection lasts no longer than any that is idle',
    { timeout: 20_000 },
    async () => {
      const endless = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
      endless.on('error', () => {});
      await once(endless, 'secureConnect');
      let answer = '';
      endless.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      endless.write(
        'POST /mxdeliv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-MAIL-TO: alice@chat.test\r\n\r\n',
      );
      const line = `${'x'.repeat(0x3ffe)}\r\n`;
      const gone = new Promise((resolve) => endless.once('close', resolve));
      const write = async () => {
        while (!endless.closed) {
          endless.write(`4000\r\n${line}\r\n`);
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const writing = write().catch(() => {});
      while (!answer.includes('552 ')) await new Promise((resolve) => setImmediate(resolve));
      assert.match(answer, /^HTTP\/1\.1 413 /);
      // No memory is held, and no place: the rest is dropped as it comes.
      while (admission.count > 0) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(HEAD_TIME);
      await gone;
      await writing;
      assert.deepEqual(received, []);
    },
  );

  test('after a refusal that came before the body the same connection takes the next message', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const elsewhere = { 'X-MAIL-TO': 'x@other.test' };
      const large = text + `${'x'.repeat(70)}\r\n`.repeat(10_000);
      const sockets = new Set<unknown>();
      agent.on('free', (socket) => sockets.add(socket));
      for (const [fields, status] of [
        [elsewhere, 400],
        [here, 200],
        [{ ...here, Expect: '100-continue' }, 200],
      ] as const) {
        const answer = await post1(listener.port, fields, large, 'POST', '/mxdeliv', agent);
        assert.equal(answer.status, status);
      }
      assert.equal(sockets.size, 1, 'it was one connection');
      assert.deepEqual(
        received.map(({ message }) => message.length),
        [large.length, large.length],
      );
    } finally {
      agent.destroy();
    }
  });

  test('who hangs up in the middle leaves nothing behind, and half a message is none', async () => {
    const left = async () => {
      while (admission.count > 0) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(received, []);
    };
    for (const code of [constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR]) {
      const raw = await dialRaw(listener.port);
      raw.write(Buffer.concat([head(1), frame(DATA, 0, 1, Buffer.from(text))]));
      while (admission.count < 1) await new Promise((resolve) => setImmediate(resolve));
      raw.write(reset(1, code));
      await left();
      raw.write(Buffer.concat([head(3), frame(DATA, 0, 3, Buffer.from(text)), reset(3, code)]));
      raw.end();
      await once(raw, 'close');
      await left();
    }
    for (const hangUp of ['end', 'destroy'] as const) {
      const raw = await dialRaw(listener.port);
      raw.write(Buffer.concat([head(1), frame(DATA, 0, 1, Buffer.from(text))]));
      while (admission.count < 1) await new Promise((resolve) => setImmediate(resolve));
      raw[hangUp]();
      await left();
    }
    const slow = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(slow, 'secureConnect');
    slow.write(
      'POST /mxdeliv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-MAIL-TO: alice@chat.test\r\n\r\n',
    );
    slow.write(`${text.length.toString(16)}\r\n${text}\r\n`);
    while (admission.count < 1) await new Promise((resolve) => setImmediate(resolve));
    slow.end();
    await left();
  });

  test('requests that are taken back without end end the connection', { timeout: 20_000 }, async () => {
    const raw = await dialRaw(listener.port);
    let sent = 0;
    while (!raw.closed && sent < 5000) {
      const requests = Array.from({ length: 10 }, (_, index) => 2 * (sent + index) + 1);
      raw.write(Buffer.concat(requests.flatMap((id) => [head(id), reset(id, constants.NGHTTP2_CANCEL)])));
      sent += 10;
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!raw.closed) await once(raw, 'close');
    while (admission.count > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(sent < 5000, `${sent} requests`);
    assert.equal((await post1(listener.port, here, text)).status, 200);
  });
});

describe('/mxdeliv of a relay', () => {
  test('takes the largest message that there may be, by HTTP/1.1 and HTTP/2, and not a byte more', async () => {
    await using dns = await createDnsServer();
    const key = makeDkimKey();
    dns.setTxt('sel._domainkey.chat.test', key.record);
    const parts = [controlPart, dataPart(armor(encryptedPackets(23_000_000)))];
    const largest = signMessage(mail({ parts }), { domain: 'chat.test', selector: 'sel', key });
    const longer = Buffer.concat([largest, Buffer.from('x')]);
    assert.ok(largest.length > 30 * 1024 * 1024);
    await using relay = await startTestRelay({
      TEAL_DNS_SERVERS: dns.address,
      TEAL_MAX_MESSAGE_SIZE: String(largest.length),
    });
    const alice = `aliceinch@${relay.domain}`;
    await relay.login(alice, 'password-1', { countsAsUse: true, peer: '127.0.0.1' });
    const fields = { 'X-MAIL-FROM': 'alice@chat.test', 'X-MAIL-TO': alice };
    const port = relay.ports.https_port ?? 0;
    const session = dial2(port);
    try {
      for (const post of [post1.bind(undefined, port), post2.bind(undefined, session)]) {
        assert.deepEqual(await post(fields, largest), { status: 200, text: '250 OK' });
        assert.deepEqual(await post(fields, longer), {
          status: 413,
          text: '552 Message exceeds maximum size',
        });
      }
    } finally {
      session.destroy();
    }
    const account = await relay.store.accounts.find(alice);
    const inbox = account && (await relay.store.mailboxes.find(account.id, 'INBOX'));
    const messages = inbox ? await relay.store.messages.get(inbox.id, [1, 2, 3]) : [];
    assert.equal(messages.length, 2);
  });

  test('has the rules of port 25, and so has every route by HTTP/2', async () => {
    await using dns = await createDnsServer();
    const key = makeDkimKey();
    dns.setTxt('sel._domainkey.chat.test', key.record);
    await using relay = await startTestRelay({ TEAL_DNS_SERVERS: dns.address });
    const port = relay.ports.https_port ?? 0;
    const alice = `aliceinch@${relay.domain}`;
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await imap.command(`LOGIN ${alice} password-1`);
    const message = mail();
    const signed = signMessage(message, { domain: 'chat.test', selector: 'sel', key });
    const fields = { 'X-MAIL-FROM': 'alice@chat.test', 'X-MAIL-TO': [alice, `nobodyatall@${relay.domain}`] };
    assert.deepEqual(await post1(port, fields, signed), { status: 200, text: '250 OK' });
    const session = dial2(port);
    try {
      assert.deepEqual(await post2(session, fields, signed), { status: 200, text: '250 OK' });
      assert.match((await post2(session, fields, message)).text, /^554 5\.7\.1 No DKIM signature found/);
      const clear = Buffer.from('From: alice@chat.test\r\nContent-Type: text/plain\r\n\r\nhi\r\n');
      assert.match((await post2(session, fields, clear)).text, /^523 Encryption Needed/);
      assert.match(
        (await post2(session, { 'X-MAIL-TO': 'x@chat.test' }, signed)).text,
        /Relay access denied/,
      );
      for (const [method, path, status] of [
        ['GET', '/', 200],
        ['GET', '/info.html', 200],
        ['GET', '/main.css', 200],
        ['POST', '/new', 200],
        ['GET', '/new', 301],
        ['GET', '/.well-known/autoconfig/mail/config-v1.1.xml', 200],
        ['GET', '/nowhere', 404],
      ] as const)
        assert.equal((await post2(session, {}, '', method, path)).status, status, path);
      const www = await post2(session, { ':authority': `www.${relay.domain}` }, '', 'GET', '/');
      assert.equal(www.status, 301);
    } finally {
      session.destroy();
    }
    await imap.command('SELECT INBOX');
    const { responses } = await imap.command('UID FETCH 1:* (BODY.PEEK[])');
    const inbox = responses.flatMap(({ literals }) => literals.slice(0, 1));
    assert.equal(inbox.length, 2);
    assert.ok(inbox.every((one) => one.equals(message)));
  });
});
