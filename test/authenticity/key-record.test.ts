import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_RECORD_LENGTH, chooseKey, keyProblem } from '../../src/authenticity/key-record.ts';
import type { KeyRecord } from '../../src/authenticity/key-record.ts';
import type { Signature } from '../../src/authenticity/signature.ts';

function choose(...records: (string | string[])[]) {
  return chooseKey(records.map((record) => (typeof record === 'string' ? [record] : record)));
}

function chooseGood(...records: (string | string[])[]): KeyRecord {
  const key = choose(...records);
  assert.ok(!('problem' in key), JSON.stringify([records, key]));
  return key;
}

test('each of these is a key', () => {
  const cases: [string | string[], Partial<KeyRecord>][] = [
    ['v=DKIM1; k=rsa; p=AAAA', { type: 'rsa', testing: false, sameDomain: false }],
    ['p=AAAA', { type: 'rsa', text: 'p=AAAA' }],
    ['k=ed25519; p=AAAA;', { type: 'ed25519' }],
    [['v=DKIM1; p=AA', 'BB', 'CC'], { text: 'v=DKIM1;p=AABBCC' }],
    ['"v=DKIM1;" "p=AA  BB"', { text: 'v=DKIM1;p=AABB' }],
    ['v=DKIM1;k=rsa;p=AAAA;s=email;t=s', { sameDomain: true, testing: false }],
    ['v=DKIM1; s=*; h=sha1:sha256; t=y:s; p=AAAA', { testing: true, sameDomain: true }],
    ['v=DKIM1; s=tlsrpt : email; n=a note; g=*; p=AAAA', {}],
  ];
  for (const [record, expected] of cases) {
    const key = chooseGood(record);
    for (const [name, value] of Object.entries(expected))
      assert.equal(key[name as keyof KeyRecord], value, `${String(record)} ${name}`);
  }
});

test('each of these is no key, and says why', () => {
  const cases: [string, string][] = [
    ['v=DKIM1; k=rsa; p=', 'key revoked'],
    ['v=DKIM1; k=rsa; p= ', 'key revoked'],
    ['v=DKIM1; k=dsa; p=AAAA', 'unknown key type'],
    ['v=DKIM2; p=AAAA', 'unknown key version'],
    ['p=AAAA; v=DKIM1', 'unknown key version'],
    ['v=DKIM1; h=sha1; p=AAAA', 'key is not for sha256'],
    ['v=DKIM1; s=tlsrpt; p=AAAA', 'key is not for mail'],
    ['v=DKIM1; s=; p=AAAA', 'key is not for mail'],
    ['v=DKIM1; p=AAAA; p=BBBB', 'key record: tag p= comes twice'],
    ['v=DKIM1; P=AAAA', 'no key record'],
    ['v=spf1 -all', 'no key record'],
    ['anything at all', 'no key record'],
    ['', 'no key record'],
    [`p=${'A'.repeat(MAX_RECORD_LENGTH)}`, 'key record too long'],
  ];
  for (const [record, problem] of cases) assert.deepEqual(choose(record), { problem }, record.slice(0, 60));
});

test('among several records the first usable key is taken, and the others are no trouble', () => {
  assert.equal(chooseGood('v=spf1 -all', 'p=', 'p=AAAA', 'p=BBBB').text, 'p=AAAA');
  assert.deepEqual(choose('v=spf1 -all', 'p=', 'v=DKIM2; p=A'), { problem: 'key revoked' });
  assert.deepEqual(choose(...Array.from({ length: 100 }, () => 'v=spf1 -all'), 'p=AAAA'), {
    problem: 'no key record',
  });
  assert.deepEqual(chooseKey([]), { problem: 'no key record' });
});

test('a key may forbid what a signature does', () => {
  const signature: Signature = {
    domain: 'x.test',
    selector: 's',
    identityDomain: 'x.test',
    keyType: 'rsa',
    bodyCanonicalization: 'simple',
    signedNames: ['from'],
  };
  const below: Signature = { ...signature, identityDomain: 'mail.x.test' };
  const cases: [string, Signature, string | undefined][] = [
    ['p=AAAA', signature, undefined],
    ['p=AAAA', below, undefined],
    ['t=s; p=AAAA', signature, undefined],
    ['t=s; p=AAAA', below, 'i= is below d=, which the key forbids'],
    ['t=y; p=AAAA', signature, 'key is for testing only'],
    ['k=ed25519; p=AAAA', signature, 'key is for ed25519, signature is rsa'],
    ['p=AAAA', { ...signature, keyType: 'ed25519' }, 'key is for rsa, signature is ed25519'],
  ];
  for (const [record, one, problem] of cases)
    assert.equal(keyProblem(chooseGood(record), one), problem, record);
});
