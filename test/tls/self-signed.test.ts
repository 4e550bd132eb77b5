import assert from 'node:assert/strict';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { day } from '../../src/clock.ts';
import { keepSelfSigned } from '../../src/tls/self-signed.ts';
import { createTestClock } from '../harness/clock.ts';

describe('the self-signed certificate', () => {
  let root: string;
  let directory: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'teal-tls-'));
    directory = join(root, 'data', 'tls');
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const names = ['_teal.test', 'localhost', '127.0.0.1', '::1'];
  const make = (clock = createTestClock(), wanted: readonly string[] = names) =>
    keepSelfSigned({ directory, names: wanted, clock });

  test('names every name and address, for ten years, with a key on P-256', async () => {
    const clock = createTestClock();
    const certificate = new X509Certificate((await make(clock)).cert);
    assert.equal(
      certificate.subjectAltName,
      'DNS:_teal.test, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    assert.equal(certificate.subject, 'CN=_teal.test');
    assert.equal(certificate.ca, false);
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.equal(certificate.validFromDate.getTime(), clock.now() - day);
    assert.equal(certificate.validToDate.getTime(), clock.now() + 3650 * day);
    assert(certificate.verify(certificate.publicKey));
  });

  test('serves clients that check the name, that trust nothing but it, and that check nothing', async () => {
    // Real time: OpenSSL looks at the real clock.
    const pair = await make(createTestClock(Date.now()));
    const server = createServer({ ...pair, minVersion: 'TLSv1.2' }, (socket) => void socket.end('hello'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert(typeof address === 'object' && address !== null);
    const greet = async (options: ConnectionOptions) => {
      const socket = connect({ host: '127.0.0.1', port: address.port, ...options });
      try {
        await once(socket, 'secureConnect');
        return 'connected';
      } catch (error) {
        return error instanceof Error && 'code' in error ? error.code : error;
      } finally {
        socket.destroy();
      }
    };
    try {
      assert.equal(await greet({ ca: pair.cert, servername: '_teal.test' }), 'connected');
      assert.equal(await greet({ ca: pair.cert }), 'connected', 'by its address');
      assert.equal(await greet({ ca: pair.cert, servername: 'other.test' }), 'ERR_TLS_CERT_ALTNAME_INVALID');
      assert.equal(await greet({ servername: '_teal.test' }), 'DEPTH_ZERO_SELF_SIGNED_CERT');
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const range = { minVersion: version, maxVersion: version };
        assert.equal(await greet({ ...range, rejectUnauthorized: false }), 'connected', version);
      }
    } finally {
      server.close();
    }
  });

  test('is kept in one file for its owner alone, and found again', async () => {
    const pair = await make();
    assert.deepEqual(await readdir(directory), ['self-signed.pem']);
    const path = join(directory, 'self-signed.pem');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
    assert.deepEqual(await make(), pair);
    // Another order is no other certificate, and a literal's brackets are not part of the address.
    assert.deepEqual(
      await make(createTestClock(), ['[127.0.0.1]', '[IPv6:::1]', 'localhost', '_teal.test']),
      pair,
    );
  });

  test('is made anew with the same key when names change or it is about to expire', async () => {
    const clock = createTestClock();
    let last = await make(clock);
    const renewed = async (wanted: readonly string[]) => {
      const next = await make(clock, wanted);
      assert.notEqual(next.cert, last.cert);
      assert.equal(next.key, last.key);
      assert(new X509Certificate(next.cert).checkPrivateKey(createPrivateKey(next.key)));
      last = next;
    };
    await renewed([...names, '192.0.2.1']);
    await renewed(names);
    await renewed(['_other.test', ...names.slice(1)]);
    await renewed(names);
    clock.advance(3619 * day);
    assert.deepEqual(await make(clock), last);
    clock.advance(2 * day);
    await renewed(names);
  });

  test('is made anew when the file is damaged, and a file of a crash in between does no harm', async () => {
    const path = join(directory, 'self-signed.pem');
    const first = await make();
    const text = await readFile(path, 'latin1');
    const certificateAlone = text.slice(text.indexOf('-----BEGIN CERTIFICATE'));
    const foreignKey = await keepSelfSigned({
      directory: join(root, 'other'),
      names,
      clock: createTestClock(),
    });
    for (const [damaged, keyKept] of [
      ['', false],
      ['nothing of use\n', false],
      [certificateAlone, false],
      [first.key, true],
      [first.key + first.cert.slice(0, 200), true],
      [first.key + foreignKey.cert, true],
    ] as const) {
      await writeFile(path, damaged);
      await writeFile(`${path}.new`, 'half', { mode: 0o644 });
      await chmod(`${path}.new`, 0o644);
      const next = await make();
      assert.equal(next.key === first.key, keyKept, JSON.stringify(damaged.slice(0, 40)));
      assert(new X509Certificate(next.cert).checkPrivateKey(createPrivateKey(next.key)));
      assert.deepEqual(await make(), next);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
    }
    await rm(path);
    await mkdir(path);
    await assert.rejects(make(), { code: 'EISDIR' }, 'what cannot be read is not overwritten');
  });
});
