import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectTcp, createServer as createTcp } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { HEAD_TIME, REQUEST_TIME } from '../../src/http/connections.ts';
import { createHttp2Server } from '../../src/http/http2-server.ts';
import { createHttp } from '../../src/http/http-listener.ts';
import { createHttps } from '../../src/http/https-listener.ts';
import type { Listener } from '../../src/http/listener.ts';
import { originForm } from '../../src/http/request-target.ts';
import { createAdmission } from '../../src/limits/admission.ts';
import { createEvents } from '../../src/observe/events.ts';
import { createLog } from '../../src/observe/log.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import type { Certificate, KeyPair } from '../../src/tls/certificate.ts';
import { createTestClock } from '../harness/clock.ts';
import { selfSigned } from '../harness/self-signed.ts';

const events = createEvents(createLog('silent'));

/** Everything that comes until the peer closes. */
async function all(socket: TLSSocket | ReturnType<typeof connectTcp>): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
  socket.on('error', (error: Error) => (text += `[${error.message}]`));
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

describe('port 443', () => {
  const clock = createTestClock();
  const admission = createAdmission({ max: 4, maxPerPeer: 4 });
  const web = createServer((request, response) => {
    if (request.url === '/slow') return;
    response.end(`web ${request.url}`);
  });
  const http2 = createHttp2Server();
  const mail = (name: string) => ({
    serve: (socket: TLSSocket, peer: string) => void socket.end(`${name} ${socket.getProtocol()} ${peer}`),
  });
  let certificate: Certificate;
  let challenge: KeyPair;
  let listener: Listener;

  before(async () => {
    certificate = createCertificate(await selfSigned('_one.test'));
    challenge = await selfSigned('challenged.test');
    listener = await createHttps({
      host: '127.0.0.1',
      port: 0,
      certificate,
      web: { http1: web, http2 },
      imap: mail('imap'),
      smtp: mail('smtp'),
      alpnChallenge: (name) => Promise.resolve(name === 'challenged.test' ? challenge : undefined),
      admission,
      events,
      clock,
    });
  });
  after(() => listener[Symbol.asyncDispose]());

  const dial = (options: ConnectionOptions = {}) =>
    connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  const get = async (options: ConnectionOptions, target = '/') => {
    const socket = dial(options);
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    return all(socket);
  };

  test('speaks HTTP to who offers nothing and to who offers http/1.1', async () => {
    assert.match(await get({}), /web \/$/);
    assert.match(await get({ ALPNProtocols: ['http/1.1'] }), /web \/$/);
    assert.match(await get({ maxVersion: 'TLSv1.2' }), /web \/$/);
  });

  test('speaks HTTP/2 to who offers it', async () => {
    for (const offered of [['h2', 'http/1.1'], ['http/1.1', 'h2'], ['h2']]) {
      const socket = dial({ ALPNProtocols: offered });
      await once(socket, 'secureConnect');
      assert.equal(socket.alpnProtocol, 'h2');
      socket.destroy();
    }
  });

  test('hands imap and smtp over, with TLS 1.3 and the address of the peer', async () => {
    assert.equal(await all(dial({ ALPNProtocols: ['imap'] })), 'imap TLSv1.3 127.0.0.1');
    assert.equal(await all(dial({ ALPNProtocols: ['smtp'] })), 'smtp TLSv1.3 127.0.0.1');
  });

  test('mail wants TLS 1.3, and nobody is given a protocol he did not offer', async () => {
    const old = await all(dial({ ALPNProtocols: ['imap'], maxVersion: 'TLSv1.2' }));
    assert.match(old, /protocol version/);
    assert.match(await all(dial({ ALPNProtocols: ['spdy/3'] })), /no application protocol/);
  });

  test('answers a TLS-ALPN-01 challenge with its certificate and closes', async () => {
    const socket = dial({ ALPNProtocols: ['acme-tls/1'], servername: 'challenged.test' });
    await once(socket, 'secureConnect');
    assert.equal(socket.alpnProtocol, 'acme-tls/1');
    assert.equal(socket.getPeerCertificate().subject.CN, 'challenged.test');
    assert.equal(await all(socket), '');
    const other = dial({ ALPNProtocols: ['acme-tls/1'], servername: 'other.test' });
    assert.notEqual(await all(other), '', 'no challenge, no handshake');
  });

  test('a new certificate serves the next connection and drops none', async () => {
    const before = dial();
    await once(before, 'secureConnect');
    certificate.replace(await selfSigned('_two.test'));
    const next = dial();
    await once(next, 'secureConnect');
    assert.equal(next.getPeerCertificate().subject.CN, '_two.test');
    next.destroy();
    before.write('GET /kept HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.match(await all(before), /web \/kept$/);
  });

  test('a ClientHello that comes byte by byte is understood', async () => {
    // Each byte is a packet of its own: the network may cut as it likes.
    const splitter = createTcp({ noDelay: true }, (client) => {
      const server = connectTcp({ port: listener.port, host: '127.0.0.1', noDelay: true });
      client.on('data', (bytes: Buffer) => {
        for (const byte of bytes) server.write(Buffer.from([byte]));
      });
      server.pipe(client);
      client.on('close', () => server.destroy());
    });
    await new Promise<void>((resolve) => splitter.listen(0, '127.0.0.1', resolve));
    const socket = dial({ port: (splitter.address() as AddressInfo).port, servername: 'a.test' });
    socket.write('GET /bytes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.match(await all(socket), /web \/bytes$/);
    splitter.close();
  });

  test('who says nothing, or half a request, is cut off after its time', async () => {
    const quiet = connectTcp(listener.port, '127.0.0.1');
    await once(quiet, 'connect');
    const half = dial();
    await once(half, 'secureConnect');
    half.write('GET / HTTP/1.1\r\n');
    const slow = dial();
    await once(slow, 'secureConnect');
    slow.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(web, 'request');
    assert.equal(admission.count, 3);
    clock.advance(HEAD_TIME);
    await Promise.all([all(quiet), all(half)]);
    assert.equal(slow.closed, false, 'its request is whole');
    clock.advance(REQUEST_TIME);
    await all(slow);
  });

  test('connections beyond the bound are closed, and places come back', async () => {
    while (admission.count > 0) await new Promise((resolve) => setImmediate(resolve));
    const four = [dial(), dial(), dial(), dial()];
    await Promise.all(four.map((socket) => once(socket, 'secureConnect')));
    assert.notEqual(await all(dial()), '', 'the fifth gets no handshake');
    for (const socket of four) socket.destroy();
    while (admission.count > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.match(await get({}), /web \/$/);
  });

  test('what is no TLS is closed', async () => {
    const socket = connectTcp(listener.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(await all(socket), '');
  });
});

describe('port 80', () => {
  let listener: Listener;
  before(async () => {
    listener = await createHttp({
      host: '127.0.0.1',
      port: 0,
      domain: 'relay.example',
      names: new Set(['relay.example', 'www.relay.example']),
      httpsPort: 443,
      httpChallenge: (token) => (token === 'tok-en_1' ? 'tok-en_1.thumb' : undefined),
      admission: createAdmission({ max: 10, maxPerPeer: 10 }),
      events,
      clock: createTestClock(),
    });
  });
  after(() => listener[Symbol.asyncDispose]());

  const ask = async (start: string, host = 'relay.example') => {
    const socket = connectTcp(listener.port, '127.0.0.1');
    socket.write(`${start} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const answer = await all(socket);
    return {
      status: Number(answer.slice(9, 12)),
      location: /^location: (.*)\r$/im.exec(answer)?.[1],
      body: answer.split('\r\n\r\n')[1],
    };
  };

  test('answers the challenge that is under way, and no other', async () => {
    const good = await ask('GET /.well-known/acme-challenge/tok-en_1');
    assert.deepEqual([good.status, good.body], [200, 'tok-en_1.thumb']);
    assert.equal((await ask('GET /.well-known/acme-challenge/other')).status, 404);
    assert.equal((await ask('GET /.well-known/acme-challenge/../tok-en_1')).status, 301);
  });

  test('sends everybody else to HTTPS, to a name of ours', async () => {
    const cases: [string, string, number, string][] = [
      ['GET /info.html?x=1', 'relay.example', 301, 'https://relay.example/info.html?x=1'],
      ['GET /', 'WWW.relay.example:80', 301, 'https://www.relay.example/'],
      ['GET /', 'evil.example', 301, 'https://relay.example/'],
      ['GET http://relay.example/new', 'relay.example', 301, 'https://relay.example/new'],
      ['POST /new', 'relay.example', 308, 'https://relay.example/new'],
    ];
    for (const [start, host, status, location] of cases) {
      const answer = await ask(start, host);
      assert.deepEqual([answer.status, answer.location], [status, location], `${start} at ${host}`);
    }
  });

  test('a header that is too long is refused', async () => {
    assert.equal((await ask(`GET /${'a'.repeat(10_000)}`)).status, 431);
  });
});

test('request targets in absolute form become paths', () => {
  assert.equal(originForm('/new?token=a'), '/new?token=a');
  assert.equal(originForm('https://relay.example/new?token=a'), '/new?token=a');
  assert.equal(originForm('HTTPS://relay.example:8443'), '/');
  assert.equal(originForm('https://relay.example?x=1'), '/?x=1');
  assert.equal(originForm('*'), '/');
});
