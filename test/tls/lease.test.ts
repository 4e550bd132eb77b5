import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createChallenges } from '../../src/tls/challenges.ts';
import { createLease } from '../../src/tls/lease.ts';
import { createTestClock } from '../harness/clock.ts';
import { createMemoryValues } from '../harness/memory-values.ts';
import { selfSigned } from '../harness/self-signed.ts';

test('a lease is one process’s until it gives it back or its time is over', async () => {
  const clock = createTestClock();
  const values = createMemoryValues();
  const processes = [1, 2, 3].map(() => createLease(values, 'lease', clock, (n) => randomBytes(n)));
  const takeAll = async () =>
    (await Promise.all(processes.map((lease) => lease.take(1000)))).filter((taken) => taken !== undefined);

  const [first, ...more] = await takeAll();
  assert.ok(first);
  assert.equal(more.length, 0);
  clock.advance(999);
  assert.equal((await takeAll()).length, 0);
  await first();
  const [second] = await takeAll();
  assert.ok(second);
  clock.advance(1001);
  assert.equal((await takeAll()).length, 1);
  await second();
  assert.equal((await takeAll()).length, 0, 'one that is over is nobody’s to give back');
});

test('every process with the account’s key answers HTTP-01 for any token, and for nothing that is none', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const { x, y } = createPublicKey(publicKey).export({ format: 'jwk' });
  const thumbprint = createHash('sha256')
    .update(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`)
    .digest('base64url');
  const token = randomBytes(32).toString('base64url');
  for (const one of [createChallenges(privateKey), createChallenges(privateKey)])
    assert.equal(one.http(token), `${token}.${thumbprint}`);
  for (const none of ['', 'short', `${token}/x`, `<b>${token}`, 'x'.repeat(257)])
    assert.equal(createChallenges(privateKey).http(none), undefined, none);
});

test('TLS-ALPN-01 is answered for a name, or the reverse name of an address, while its order runs', async () => {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const challenges = createChallenges(privateKey);
  const [one, two] = [await selfSigned('a'), await selfSigned('b')];
  const hideOne = challenges.show('Chat.example', one);
  assert.equal(challenges.alpn('chat.EXAMPLE'), one);
  const hideTwo = challenges.show('chat.example', two);
  hideOne();
  assert.equal(challenges.alpn('chat.example'), two, 'the newer one is not hidden by the older');
  hideTwo();
  assert.equal(challenges.alpn('chat.example'), undefined);
  challenges.show('192.0.2.7', one);
  assert.equal(challenges.alpn('7.2.0.192.in-addr.arpa'), one);
});
