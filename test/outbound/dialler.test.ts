import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import type { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createDial, NEXT_ADDRESS } from '../../src/outbound/dialler.ts';
import { systemClock } from '../../src/machine.ts';
import type { Source } from '../../src/outbound/dialler.ts';
import { createBlackHole } from '../harness/black-hole.ts';
import { createTestClock } from '../harness/clock.ts';
import { turns } from '../harness/until.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

describe('the connections of a relay at a bare IPv4 address', () => {
  const server = createServer();
  before(async () => {
    server.listen(0, hasIpv6 ? '::' : '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => new Promise((resolve) => server.close(resolve)));

  /** Whom the server sees when a host with these addresses is called. */
  async function seen(addresses: readonly string[], from?: Source): Promise<string> {
    const { port } = server.address() as AddressInfo;
    const dial = createDial({
      clock: systemClock,
      dialler: (host) => ({ host, port }),
      resolver: { addresses: async () => addresses },
      from,
    });
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = await dial('mx.other.test', 25, AbortSignal.timeout(10_000));
    const [peer] = await accepted;
    const { remoteAddress = '' } = peer;
    peer.destroy();
    socket.destroy();
    return remoteAddress.replace('::ffff:', '');
  }

  test('come from it where the machine has it, and never by IPv6', async () => {
    const bound = { address: '127.0.0.5', bound: true };
    assert.equal(await seen(['::1', '127.0.0.1'], bound), '127.0.0.5');
    assert.equal(await seen(['127.0.0.1'], bound), '127.0.0.5');
    assert.equal(await seen(['::1', '127.0.0.1'], { address: '192.0.2.7', bound: false }), '127.0.0.1');
    if (hasIpv6) assert.equal(await seen(['::1', '127.0.0.1']), '::1', 'others take what comes first');
  });

  test('do not come about where the other side has no IPv4', async () => {
    const dial = createDial({
      clock: systemClock,
      dialler: (host) => ({ host, port: 9 }),
      resolver: { addresses: async () => ['::1'] },
      from: { address: '127.0.0.5', bound: true },
    });
    await assert.rejects(
      dial('mx.other.test', 25, AbortSignal.timeout(10_000)),
      /mx\.other\.test has no IPv4 address/,
    );
  });
});

describe('a host with several addresses', () => {
  /** Which address answers, of those of a host that has a server on each of `answering`. */
  const reached = async (
    port: number,
    answering: readonly string[],
    addresses: readonly string[],
  ): Promise<string> => {
    await using all = new AsyncDisposableStack();
    for (const address of answering) {
      const server = createServer((socket) => socket.on('error', () => {}).resume());
      server.listen(port, address);
      await once(server, 'listening');
      all.defer(() => new Promise((resolve) => server.close(() => resolve())));
    }
    const dial = createDial({
      clock: systemClock,
      dialler: (host) => ({ host, port }),
      resolver: { addresses: async () => addresses },
    });
    const socket = await dial('mx.test', 25, AbortSignal.timeout(10_000));
    const { remoteAddress = '' } = socket;
    socket.destroy();
    return remoteAddress;
  };

  test('is reached at the next one where the first is filtered, or closed', async () => {
    await using hole = await createBlackHole();
    const began = performance.now();
    assert.equal(await reached(hole.port, ['127.0.0.3'], ['127.0.0.1', '127.0.0.3']), '127.0.0.3');
    assert.ok(performance.now() - began < 2000);
    assert.equal(await reached(hole.port, ['127.0.0.3'], ['127.0.0.2', '127.0.0.3']), '127.0.0.3');
  });

  test('of both families is reached by either', { skip: !hasIpv6 && 'no IPv6' }, async () => {
    await using hole = await createBlackHole();
    assert.equal(await reached(hole.port, ['::1'], ['127.0.0.1', '::1']), '::1');
  });

  test('says of each why it cannot be reached', async () => {
    const dial = createDial({
      clock: systemClock,
      dialler: (host) => ({ host, port: 9 }),
      resolver: { addresses: async () => ['127.0.0.1', '127.0.0.2'] },
    });
    await assert.rejects(dial('mx.test', 25, AbortSignal.timeout(10_000)), (error) => {
      assert.ok(error instanceof AggregateError);
      assert.deepEqual(error.errors.map(String), [
        'Error: connect ECONNREFUSED 127.0.0.1:9',
        'Error: connect ECONNREFUSED 127.0.0.2:9',
      ]);
      return true;
    });
  });

  describe('as RFC 8305 has it', () => {
    /** Dials a host with these addresses; nothing happens to a connection but what the test does. */
    const dialling = (addresses: readonly string[]) => {
      const clock = createTestClock();
      const began: string[] = [];
      const sockets: Socket[] = [];
      const connectTo = (({ host }: { host: string }) => {
        began.push(host);
        const socket = new Socket();
        sockets.push(socket);
        return socket;
      }) as unknown as typeof connect;
      const cut = new AbortController();
      const parts = { clock, dialler: (host: string, port: number) => ({ host, port }), connectTo };
      const dial = createDial({ ...parts, resolver: { addresses: async () => addresses } });
      const dialled = dial('mx.test', 25, cut.signal);
      dialled.catch(() => {});
      return { clock, began, sockets, cut, dialled };
    };

    test('one is tried beside the other after 250 ms, by turns of the families, and none is given up for it', async () => {
      const { clock, began, sockets, dialled } = dialling([
        '192.0.2.1',
        '192.0.2.2',
        '2001:db8::1',
        '2001:db8::2',
      ]);
      await turns();
      assert.deepEqual(began, ['192.0.2.1']);
      clock.advance(NEXT_ADDRESS - 1);
      assert.equal(began.length, 1);
      clock.advance(1);
      assert.deepEqual(began, ['192.0.2.1', '2001:db8::1']);
      clock.advance(10 * NEXT_ADDRESS);
      assert.deepEqual(began, ['192.0.2.1', '2001:db8::1', '192.0.2.2', '2001:db8::2']);
      sockets[0]?.emit('connect');
      assert.equal(await dialled, sockets[0]);
      assert.deepEqual(
        sockets.map(({ destroyed }) => destroyed),
        [false, true, true, true],
      );
      assert.equal(clock.waiting, 0);
    });

    test('one that fails makes room for the next at once', async () => {
      const { clock, began, sockets, dialled } = dialling(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
      await turns();
      sockets[0]?.emit('error', new Error('closed'));
      assert.deepEqual(began, ['192.0.2.1', '192.0.2.2']);
      clock.advance(NEXT_ADDRESS);
      sockets[2]?.emit('error', new Error('closed'));
      sockets[1]?.emit('connect');
      assert.equal(await dialled, sockets[1]);
      assert.equal(clock.waiting, 0);
    });

    test('when all have failed, so has the host; the signal ends all', async () => {
      const failing = dialling(['192.0.2.1', '192.0.2.2']);
      await turns();
      for (const n of [0, 1]) failing.sockets[n]?.emit('error', new Error(`closed ${n}`));
      await assert.rejects(failing.dialled, AggregateError);
      const { clock, sockets, cut, dialled } = dialling(['192.0.2.1', '192.0.2.2']);
      await turns();
      clock.advance(NEXT_ADDRESS);
      cut.abort(new Error('enough'));
      await assert.rejects(dialled, /enough/);
      assert.ok(sockets.length === 2 && sockets.every(({ destroyed }) => destroyed));
      assert.equal(clock.waiting, 0);
    });
  });

  test('is not waited for beyond the signal', async () => {
    await using hole = await createBlackHole();
    const dial = createDial({
      clock: systemClock,
      dialler: (host) => ({ host, port: hole.port }),
      resolver: { addresses: async () => ['127.0.0.1', '127.0.0.1'] },
    });
    const cut = new AbortController();
    const dialling = dial('mx.test', 25, cut.signal);
    cut.abort(new Error('the relay is being stopped'));
    await assert.rejects(dialling, /being stopped/);
  });
});
