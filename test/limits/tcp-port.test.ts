import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { createAddressList } from '../../src/limits/address-list.ts';
import { MAX_WAITING, PROXY_HEADER_TIME, openTcpPort } from '../../src/limits/tcp-port.ts';
import { createEvents } from '../../src/observe/events.ts';
import { createTestClock } from '../harness/clock.ts';
import { createEventLog } from '../harness/event-log.ts';
import { LOCAL_V2, headerV1, headerV2 } from '../harness/proxy-header.ts';

/** Listed; everybody else on loopback is not. */
const PROXY = '127.0.0.2';

/** A port that says to each client who it is, and then everything that it says. */
async function openEcho() {
  const clock = createTestClock();
  const log = createEventLog();
  const taken: string[] = [];
  const port = await openTcpPort({
    service: 'imap',
    host: '127.0.0.1',
    port: 0,
    keepAlive: false,
    proxies: createAddressList([PROXY]),
    clock,
    events: createEvents(log.log),
    take(socket, client) {
      taken.push(client);
      socket.on('error', () => undefined);
      socket.write(`${client}|`);
      socket.pipe(socket);
    },
  });
  const sockets = new Set<Socket>();
  const dial = async (localAddress: string) => {
    const socket = connect({ port: port.port, host: '127.0.0.1', localAddress, noDelay: true });
    sockets.add(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  /** All that comes back until `end` is there. */
  const until = async (socket: Socket, end: string) => {
    let text = '';
    for (;;) {
      const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
      text += chunk.toString('latin1');
      if (text.endsWith(end)) return text;
    }
  };
  return {
    clock,
    next: (event: string) => log.next(event),
    taken,
    port,
    dial,
    until,
    refusals: () => log.events.filter(({ event }) => event === 'proxy-header-refused'),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await port.close();
    },
  };
}

const gone = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

describe('a connection of a listed proxy', () => {
  test('is that of the client whom it names; what comes with the header is not lost', async () => {
    await using echo = await openEcho();
    for (const [header, client] of [
      [headerV1({ source: '203.0.113.9' }), '203.0.113.9'],
      [headerV2({ source: '2001:db8::9' }), '2001:db8::9'],
      [headerV2({ source: '203.0.113.9' }, Buffer.alloc(900, 7)), '203.0.113.9'],
      [LOCAL_V2, PROXY],
      ['PROXY UNKNOWN\r\n', PROXY],
    ] as const) {
      const socket = await echo.dial(PROXY);
      socket.write(Buffer.concat([Buffer.from(header as string), Buffer.from('hello')]));
      assert.equal(await echo.until(socket, 'hello'), `${client}|hello`);
    }
  });

  test('has its header in as many pieces as may be', async () => {
    await using echo = await openEcho();
    for (const header of [
      Buffer.from(headerV1({ source: '203.0.113.9' })),
      headerV2({ source: '203.0.113.9' }),
    ]) {
      const socket = await echo.dial(PROXY);
      for (const byte of header.subarray(0, -1)) {
        socket.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
      assert.equal(echo.taken.length, 0);
      socket.write(header.subarray(-1));
      assert.equal(await echo.until(socket, '|'), '203.0.113.9|');
      socket.write('and on');
      assert.equal(await echo.until(socket, 'and on'), 'and on');
      echo.taken.length = 0;
    }
  });

  test('is ended where no header comes, or a bad one; nobody is told who it was', async () => {
    await using echo = await openEcho();
    for (const bytes of ['EHLO x\r\n', 'PROXY TCP4 203.0.113.9\r\n', '\x16\x03\x01']) {
      const socket = await echo.dial(PROXY);
      const closed = gone(socket);
      socket.write(Buffer.from(bytes, 'latin1'));
      socket.resume();
      await closed;
      const { reason, service, connections } = await echo.next('proxy-header-refused');
      assert.deepEqual([reason, service, connections], ['no PROXY header, or a bad one', 'imap', 1]);
      echo.clock.advance(60_000);
    }
    assert.deepEqual(echo.taken, []);
    assert.doesNotMatch(JSON.stringify(echo.refusals()), /203\.0|127\.0/);
  });

  test('has a time for its header, from the first byte on', async () => {
    await using echo = await openEcho();
    const socket = await echo.dial(PROXY);
    const closed = gone(socket);
    socket.resume();
    await echo.clock.timersSet(1);
    socket.write('PROXY TCP4 203.0');
    echo.clock.advance(PROXY_HEADER_TIME - 1);
    assert.equal(echo.refusals().length, 0);
    echo.clock.advance(1);
    await closed;
    assert.equal((await echo.next('proxy-header-refused')).reason, 'PROXY header took too long');
    assert.equal(echo.clock.waiting, 0);
  });

  test('may go at any time: within the header that is told, before it not', async () => {
    await using echo = await openEcho();
    const silent = await echo.dial(PROXY);
    await echo.clock.timersSet(1);
    const half = await echo.dial(PROXY);
    await echo.clock.timersSet(2);
    silent.end();
    await gone(silent.resume());
    half.end('PROXY TC');
    await gone(half.resume());
    assert.equal((await echo.next('proxy-header-refused')).reason, 'cut off within the PROXY header');
    assert.equal(echo.refusals().length, 1);
    assert.equal(echo.clock.waiting, 0);
    // HAProxy's health check: LOCAL, and away.
    const check = await echo.dial(PROXY);
    check.end(LOCAL_V2);
    await gone(check.resume());
    assert.deepEqual(echo.taken, [PROXY]);
  });

  test('is one of so many that wait; failures are logged once in a while, with their number', async () => {
    await using echo = await openEcho();
    const waiting = await Promise.all(Array.from({ length: MAX_WAITING }, () => echo.dial(PROXY)));
    await echo.clock.timersSet(MAX_WAITING);
    for (let more = 0; more < 3; more++) {
      const socket = await echo.dial(PROXY);
      await gone(socket.resume());
    }
    assert.equal((await echo.next('proxy-header-refused')).reason, 'too many wait for their PROXY header');
    echo.clock.advance(PROXY_HEADER_TIME);
    await Promise.all(
      waiting.map(async (socket) => {
        if (!socket.closed) await gone(socket.resume());
      }),
    );
    assert.equal(echo.refusals().length, 1);
    echo.clock.advance(60_000);
    const socket = await echo.dial(PROXY);
    socket.write('x');
    await gone(socket.resume());
    assert.equal((await echo.next('proxy-header-refused')).connections, MAX_WAITING + 3);
  });
});

test('from anybody else nothing is read: a header is the client’s own words', async () => {
  await using echo = await openEcho();
  const socket = await echo.dial('127.0.0.1');
  assert.equal(await echo.until(socket, '|'), '127.0.0.1|');
  const header = headerV1({ source: '203.0.113.9' });
  socket.write(header);
  assert.equal(await echo.until(socket, '\r\n'), header);
});

test('closing ends those whose header has not come, and resolves when the others are gone', async () => {
  await using echo = await openEcho();
  const waiting = await echo.dial(PROXY);
  await echo.clock.timersSet(1);
  const served = await echo.dial('127.0.0.1');
  await echo.until(served, '|');
  const closing = echo.port.close();
  await gone(waiting.resume());
  served.end();
  await closing;
  assert.equal(echo.refusals().length, 0);
});
