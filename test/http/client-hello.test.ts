import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { connect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import fc from 'fast-check';
import { readClientHello } from '../../src/http/client-hello.ts';

/** The first bytes that Node's own TLS client sends. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => {
      resolve(bytes);
      socket.destroy();
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ...options });
  client.on('error', () => undefined);
  const bytes = await promise;
  client.destroy();
  server.close();
  return bytes;
}

/** The same handshake in records of `size` bytes, as a client may cut it (RFC 8446 5.1). */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    const head = Buffer.from([22, 3, 1, 0, 0]);
    head.writeUInt16BE(part.length, 3);
    records.push(head, part);
  }
  return Buffer.concat(records);
}

describe('reading a ClientHello', () => {
  test('finds name and protocols in what a real client sends', async () => {
    const options = { servername: 'Relay.Example', ALPNProtocols: ['imap', 'http/1.1'] };
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const hello = await helloOf({ ...options, minVersion: version, maxVersion: version });
      assert.deepEqual(readClientHello(hello), {
        serverName: 'relay.example',
        protocols: ['imap', 'http/1.1'],
      });
    }
  });

  test('a client that offers nothing offers nothing', async () => {
    assert.deepEqual(readClientHello(await helloOf({})), { serverName: undefined, protocols: [] });
  });

  test('asks for more until all of it is there, however it is cut', async () => {
    const whole = await helloOf({ servername: 'relay.example', ALPNProtocols: ['smtp'] });
    const expected = { serverName: 'relay.example', protocols: ['smtp'] };
    for (const bytes of [whole, inRecords(whole, 100), inRecords(whole, 1)]) {
      for (let length = 0; length < bytes.length; length += 7) {
        assert.equal(readClientHello(bytes.subarray(0, length)), 'incomplete', `${length} bytes`);
      }
      assert.deepEqual(readClientHello(bytes), expected);
    }
  });

  test('what is no TLS, or no ClientHello, is told at once', () => {
    assert.equal(readClientHello(Buffer.from('GET / HTTP/1.1\r\n')), 'invalid');
    assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])), 'invalid', 'a ServerHello');
    assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 0])), 'invalid', 'an empty record');
    assert.equal(readClientHello(Buffer.from([22, 3, 1, 0xff, 0xff])), 'invalid', 'a record too long');
  });

  test('no bytes make it throw', async () => {
    const whole = await helloOf({ servername: 'relay.example', ALPNProtocols: ['smtp', 'imap'] });
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(255), (at, value, other) => {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        bytes[(at * 31) % bytes.length] = other;
        readClientHello(bytes);
      }),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readClientHello(Buffer.from(bytes))),
    );
  });
});
