import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { UnusableKey, dkimRecords, importKey, keptKey, signingKeys } from '../../src/dkim/keys.ts';
import { createMemoryValues } from '../harness/memory-values.ts';
import { makeDkimKey } from '../harness/signed-mail.ts';
import { SELECTORS } from '../harness/signer.ts';

test('processes that start at once agree on the keys, and find them again', async () => {
  const values = createMemoryValues();
  const sets = await Promise.all([1, 2, 3].map(() => signingKeys(values, SELECTORS)));
  const [first, ...more] = sets.map((keys) => keys.map(({ fingerprint }) => fingerprint));
  for (const other of more) assert.deepEqual(other, first);
  assert.deepEqual([...values.all.keys()].sort(), ['dkim-key:ed25519', 'dkim-key:opendkim']);
  const [rsa, ed25519] = sets[0] ?? [];
  assert.equal(rsa?.privateKey.asymmetricKeyDetails?.modulusLength, 2048);
  assert.equal(ed25519?.type, 'ed25519');
  assert.match(values.all.get('dkim-key:opendkim') ?? '', /^-----BEGIN PRIVATE KEY-----/);
});

test('records can be had before anything was signed; an address literal has none', async () => {
  const values = createMemoryValues();
  assert.deepEqual(await dkimRecords(values, '[192.0.2.7]', SELECTORS), []);
  assert.equal(values.all.size, 0);
  const records = await dkimRecords(values, 'example.org', SELECTORS);
  assert.deepEqual(
    records.map(({ name }) => name),
    ['opendkim._domainkey.example.org', 'ed25519._domainkey.example.org'],
  );
  assert.deepEqual(await dkimRecords(values, 'example.org', SELECTORS), records);
});

test('an upstream key is imported and signs', async () => {
  const values = createMemoryValues();
  const upstream = makeDkimKey();
  assert.match(upstream.pem, /BEGIN RSA PRIVATE KEY/, 'PKCS#1, as opendkim-genkey writes it');
  const outcome = await importKey(values, 'opendkim', upstream.pem, false);
  assert.equal(outcome.kind, 'imported');
  const [record] = await dkimRecords(values, 'example.org', SELECTORS);
  assert.equal(record?.value, `v=DKIM1;k=rsa;p=${upstream.p};s=email;t=s`);

  const pkcs8 = await keptKey(values, 'opendkim');
  assert.equal((await importKey(values, 'opendkim', pkcs8 ?? '', false)).kind, 'same');
});

test('a key that is there is replaced only when that is asked for', async () => {
  const values = createMemoryValues();
  await signingKeys(values, SELECTORS);
  const before = values.all.get('dkim-key:opendkim');
  const other = makeDkimKey();
  assert.equal((await importKey(values, 'opendkim', other.pem, false)).kind, 'taken');
  assert.equal(values.all.get('dkim-key:opendkim'), before);
  assert.equal((await importKey(values, 'opendkim', other.pem, true)).kind, 'imported');
  assert.notEqual(values.all.get('dkim-key:opendkim'), before);
});

test('what is no key for DKIM is not imported, and nothing of it is repeated', async () => {
  const values = createMemoryValues();
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const encrypted = makeDkimKey().privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  });
  const cases: [string, RegExp][] = [
    ['', /no private key in PEM/],
    ['SECRET', /^it is no private key in PEM, or it needs a passphrase$/],
    [String(encrypted), /passphrase/],
    [String(ec.export({ type: 'pkcs8', format: 'pem' })), /it is ec, not RSA/],
    [makeDkimKey('rsa', 768).pem, /768 bits/],
  ];
  for (const [pem, problem] of cases) {
    const outcome = await importKey(values, 's', pem, true);
    assert.ok(outcome.kind === 'unusable');
    assert.match(outcome.problem, problem);
  }
  assert.equal(values.all.size, 0);
});

test('a key of the wrong kind under a selector is told, and never replaced', async () => {
  const values = createMemoryValues();
  await importKey(values, 'opendkim', makeDkimKey('ed25519').pem, false);
  const before = values.all.get('dkim-key:opendkim');
  await assert.rejects(signingKeys(values, SELECTORS), (error) => {
    assert.ok(error instanceof UnusableKey);
    assert.match(error.message, /selector opendkim is ed25519, and dkim_selector_rsa names it/);
    return true;
  });
  assert.equal(values.all.get('dkim-key:opendkim'), before);
});
