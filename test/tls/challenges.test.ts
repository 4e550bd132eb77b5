import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createChallenges } from '../../src/tls/challenges.ts';
import { createMemoryValues } from '../harness/memory-values.ts';
import { selfSigned } from '../harness/self-signed.ts';

const newKeyPair = () =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });

test('every process with the account’s key answers HTTP-01 for any token, and for nothing that is none', () => {
  const { privateKey, publicKey } = newKeyPair();
  const { x, y } = createPublicKey(publicKey).export({ format: 'jwk' });
  const thumbprint = createHash('sha256')
    .update(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`)
    .digest('base64url');
  const token = randomBytes(32).toString('base64url');
  for (const one of [0, 1].map(() => createChallenges(privateKey, createMemoryValues())))
    assert.equal(one.http(token), `${token}.${thumbprint}`);
  for (const none of ['', 'short', `${token}/x`, `<b>${token}`, 'x'.repeat(257)])
    assert.equal(createChallenges(privateKey, createMemoryValues()).http(none), undefined, none);
});

test('TLS-ALPN-01 is answered for a name, or the reverse name of an address, while its order runs', async () => {
  const { privateKey } = newKeyPair();
  const values = createMemoryValues();
  const challenges = createChallenges(privateKey, values);
  const another = createChallenges(privateKey, values);
  const [one, two] = [await selfSigned('a'), await selfSigned('b')];
  const hideOne = await challenges.show('Chat.example', one);
  assert.equal(await challenges.alpn('chat.EXAMPLE'), one);
  const { key, cert } = one;
  assert.deepEqual(
    await another.alpn('chat.example'),
    { key, cert },
    'by a process that orders nothing, too',
  );
  assert.equal(await another.alpn('www.chat.example'), undefined);
  const hideTwo = await challenges.show('chat.example', two);
  await hideOne();
  assert.equal(await challenges.alpn('chat.example'), two, 'the newer one is not hidden by the older');
  await hideTwo();
  for (const each of [challenges, another]) assert.equal(await each.alpn('chat.example'), undefined);
  await challenges.show('192.0.2.7', one);
  assert.equal(await challenges.alpn('7.2.0.192.in-addr.arpa'), one);
});

test('however many ask for what is not shown, the store is read once at a time', async () => {
  const memory = createMemoryValues();
  let reads = 0;
  const values = { ...memory, get: (key: string) => ((reads += 1), memory.get(key)) };
  const challenges = createChallenges(newKeyPair().privateKey, values);
  await Promise.all(Array.from({ length: 100 }, (_, n) => challenges.alpn(`${n}.example`)));
  assert.equal(reads, 1);
  await challenges.alpn('chat.example');
  assert.equal(reads, 2);
});
