import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { day } from '../../src/clock.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { BadCertificateFile, readKeyPair } from '../../src/tls/files.ts';
import { issue, selfSigned } from '../harness/self-signed.ts';

describe('the files of tls_external_cert_and_key', () => {
  let root: string;
  let pair: KeyPair;
  let other: KeyPair;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'teal-tls-'));
    [pair, other] = await Promise.all([selfSigned('chat.example'), selfSigned('other.example')]);
  });
  after(() => rm(root, { recursive: true, force: true }));

  const file = async (name: string, text: string) => {
    const path = join(root, name);
    await writeFile(path, text);
    return path;
  };

  test('certificate, chain and key are read as they are', async () => {
    const chain = `${pair.cert}\n${other.cert}\n`;
    const read = await readKeyPair(await file('chain.pem', chain), await file('key.pem', pair.key));
    assert.deepEqual(read, { cert: chain, key: pair.key });
    createCertificate(other).replace(read);
    const both = await file('both.pem', pair.key + pair.cert);
    createCertificate(await readKeyPair(both, both));
  });

  test('what cannot be used is refused in plain words that name the file', async () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
    });
    const cert = await file('cert.pem', pair.cert);
    const key = await file('key.pem', pair.key);
    const missing = join(root, 'missing.pem');
    const cases: [string, string, RegExp][] = [
      [missing, key, /^tls_external_cert_and_key: .*missing\.pem does not exist$/],
      [cert, missing, /missing\.pem does not exist$/],
      [root, key, /is a directory$/],
      [cert, await file('huge.pem', 'x'.repeat(1024 * 1024 + 1)), /huge\.pem is too big/],
      [await file('empty.pem', ''), key, /empty\.pem holds no certificate/],
      [cert, await file('nokey.pem', 'hello'), /nokey\.pem holds no private key/],
      [cert, cert, /cert\.pem holds no private key/],
      [key, key, /key\.pem holds no certificate/],
      [key, cert, /key\.pem holds a key and .*cert\.pem a certificate: .* certificate first/],
      [await file('cut.pem', pair.cert.slice(0, 300)), key, /certificate 1 in .*cut\.pem is damaged/],
      [
        await file('chain.pem', `${pair.cert}\n${other.cert.slice(0, 200)}\n-----END CERTIFICATE-----\n`),
        key,
        /certificate 2 in .*chain\.pem is damaged/,
      ],
      [cert, await file('cutkey.pem', pair.key.slice(0, 100)), /private key in .*cutkey\.pem is damaged/],
      [cert, await file('locked.pem', privateKey), /locked\.pem has a passphrase/],
      [cert, await file('other.pem', other.key), /other\.pem does not belong to the first certificate/],
      [await file('order.pem', `${other.cert}\n${pair.cert}`), key, /own certificate must come first/],
    ];
    for (const [certFile, keyFile, message] of cases) {
      await assert.rejects(readKeyPair(certFile, keyFile), (error) => {
        assert(error instanceof BadCertificateFile);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /BEGIN|secret/);
        return true;
      });
    }
  });

  test('what clients will not like is said, and served all the same', async () => {
    const cert = await file('cert.pem', pair.cert);
    const key = await file('key.pem', pair.key);
    const warnings = async (now: number, ...names: string[]) => {
      const said: string[] = [];
      await readKeyPair(cert, key, { now, names, warn: (problem) => said.push(problem) });
      return said.map((text) => text.replace(cert, 'FILE').replace(/\d{4}-.*Z/, 'TIME'));
    };
    const now = Date.now();
    assert.deepEqual(await warnings(now, 'chat.example'), []);
    assert.deepEqual(await warnings(now + 3 * day), ['the certificate in FILE expired at TIME']);
    assert.deepEqual(await warnings(now - 3 * day), ['the certificate in FILE is not valid before TIME']);
    assert.deepEqual(await warnings(now, 'chat.example', 'www.chat.example', '192.0.2.1'), [
      'the certificate in FILE is not for www.chat.example',
      'the certificate in FILE is not for 192.0.2.1',
    ]);
  });

  test('a certificate without its authority’s chain, or with another chain, is told; a whole chain is not', async () => {
    const root = await issue('root');
    const middle = await issue('middle', root);
    const leaf = await issue('chat.example', middle);
    const told = async (...chain: readonly KeyPair[]) => {
      const problems: string[] = [];
      await readKeyPair(
        await file('chain.pem', chain.map(({ cert }) => `${cert}\n`).join('')),
        await file('key.pem', leaf.key),
        { now: Date.now(), names: ['chat.example'], warn: (problem) => problems.push(problem) },
      );
      return problems;
    };
    assert.deepEqual(await told(leaf, middle), []);
    assert.deepEqual(await told(leaf, middle, root), []);
    assert.match((await told(leaf)).join(), /without the chain/);
    assert.match((await told(leaf, root)).join(), /not in order/);
  });
});
