import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { ask } from '../harness/web-client.ts';

/** As an iroh relay: answers, upgrades on /relay and then says everything back. */
async function startUpstream() {
  const seen: { target: string; headers: IncomingHttpHeaders }[] = [];
  const open = new Set<Socket>();
  const server: Server = createServer((request, response) => {
    seen.push({ target: request.url ?? '', headers: request.headers });
    response.writeHead(204, { 'x-iroh-response': 'yes' }).end();
  });
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('upgrade', (request, socket: Socket, head: Buffer) => {
    seen.push({ target: request.url ?? '', headers: request.headers });
    if (request.headers['sec-websocket-protocol'] === 'unknown') {
      socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    // The first bytes of the new protocol may come with the answer, and with the question.
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: iroh\r\nConnection: Upgrade\r\n\r\nhello ');
    socket.write(head);
    socket.pipe(socket);
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    open,
    stop: async () => {
      server.closeAllConnections();
      for (const socket of open) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('an iroh relay behind Teal', () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let relay: TestRelay;
  let port: number;

  before(async () => {
    upstream = await startUpstream();
    relay = await startTestRelay({ TEAL_IROH_UPSTREAM: `http://127.0.0.1:${upstream.port}` });
    port = relay.ports.https_port ?? 0;
  });
  after(async () => {
    await relay[Symbol.asyncDispose]();
    await upstream.stop();
  });

  /** Asks for an upgrade; `read` gives what has come once it holds `until`. */
  async function upgrade(path: string, more = '', first = '') {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    let text = '';
    const waiting = new Set<() => void>();
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (const look of waiting) look();
    });
    const closed = once(socket, 'close');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${relay.domain}\r\nConnection: Upgrade\r\nUpgrade: iroh\r\n${more}\r\n${first}`,
    );
    const read = (until: string) =>
      new Promise<string>((resolve, reject) => {
        const look = () => text.includes(until) && resolve(text);
        waiting.add(look);
        void closed.then(() => reject(new Error(`closed after: ${text}`)));
        look();
      });
    return { socket, read, closed };
  }

  test('its probes are passed on, without the address of who asks', async () => {
    for (const target of ['/ping', '/generate_204?x=1', '/relay']) {
      const answer = await ask(port, 'GET', target, { 'x-iroh-challenge': 'abc' });
      assert.equal(answer.status, 204, target);
      assert.equal(answer.headers['x-iroh-response'], 'yes');
      const last = upstream.seen.at(-1);
      assert.equal(last?.target, target);
      assert.equal(last?.headers['x-iroh-challenge'], 'abc');
      assert.deepEqual(
        Object.keys(last?.headers ?? {}).filter((name) => /forwarded|real-ip/.test(name)),
        [],
      );
    }
  });

  test('a connection that is upgraded passes bytes both ways, from the first on', async () => {
    const { socket, read, closed } = await upgrade('/relay', 'Sec-WebSocket-Key: k\r\n', 'first');
    assert.match(await read('hello first'), /^HTTP\/1\.1 101 .*\r\nUpgrade: iroh\r\n/);
    assert.equal(upstream.seen.at(-1)?.headers['sec-websocket-key'], 'k');
    socket.write('and more');
    await read('firstand more');
    socket.end();
    await closed;
  });

  test('the end of the iroh relay is the end for the client', async () => {
    const { read, closed } = await upgrade('/relay');
    await read('hello ');
    for (const socket of upstream.open) socket.destroy();
    await closed;
  });

  test('what it refuses is refused', async () => {
    const { read } = await upgrade('/relay', 'Sec-WebSocket-Protocol: unknown\r\n');
    await read('HTTP/1.1 400 ');
  });

  test('nothing else is passed on, and nothing else is upgraded', async () => {
    const before = upstream.seen.length;
    assert.equal((await ask(port, 'GET', '/')).status, 200);
    assert.equal((await ask(port, 'GET', '/relay-not')).status, 404);
    const { read } = await upgrade('/robots.txt');
    assert.match(await read('Disallow'), /^HTTP\/1\.1 200 /);
    assert.equal(upstream.seen.length, before);
  });

  test('METADATA names this relay to clients', async () => {
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await imap.command(`LOGIN irohiroh9@${relay.domain} password-1`);
    const { untagged } = await imap.command('GETMETADATA "" (/shared/vendor/deltachat/irohrelay)');
    assert.match(
      untagged.join('\n'),
      new RegExp(`irohrelay "https://${relay.domain}"|https://${relay.domain}`),
    );
  });

  test('while it is away there is an answer, and the web goes on', async () => {
    await upstream.stop();
    assert.equal((await ask(port, 'GET', '/ping')).status, 502);
    const { read } = await upgrade('/relay');
    await read('HTTP/1.1 502 ');
    assert.equal((await ask(port, 'GET', '/')).status, 200);
  });
});
