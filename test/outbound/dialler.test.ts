import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { AddressInfo, Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createDial } from '../../src/outbound/dialler.ts';
import type { Source } from '../../src/outbound/dialler.ts';
import { createBlackHole } from '../harness/black-hole.ts';

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
    const dial = createDial((host) => ({ host, port }), { addresses: async () => addresses }, from);
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
    const dial = createDial(
      (host) => ({ host, port: 9 }),
      { addresses: async () => ['::1'] },
      { address: '127.0.0.5', bound: true },
    );
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
    const dial = createDial((host) => ({ host, port }), { addresses: async () => addresses });
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
    const dial = createDial((host) => ({ host, port: 9 }), {
      addresses: async () => ['127.0.0.1', '127.0.0.2'],
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

  test('is not waited for beyond the signal', async () => {
    await using hole = await createBlackHole();
    const dial = createDial((host) => ({ host, port: hole.port }), {
      addresses: async () => ['127.0.0.1', '127.0.0.1'],
    });
    const cut = new AbortController();
    const dialling = dial('mx.test', 25, cut.signal);
    cut.abort(new Error('the relay is being stopped'));
    await assert.rejects(dialling, /being stopped/);
  });
});
