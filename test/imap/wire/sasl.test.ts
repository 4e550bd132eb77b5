import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBase64, parsePlain } from '../../../src/imap/wire/sasl.ts';

test('a line of AUTHENTICATE is strict base64', () => {
  assert.equal(decodeBase64('AGEAYg==')?.toString(), '\0a\0b');
  assert.equal(decodeBase64('')?.length, 0);
  for (const bad of ['*', 'AGEAYg', 'AGEAYg=', 'A===', 'AGE AYg=', 'AGEA-g==', '=AGE'])
    assert.equal(decodeBase64(bad), undefined, bad);
});

test('PLAIN is three strings', () => {
  const plain = (text: string) => parsePlain(Buffer.from(text, 'latin1'));
  assert.deepEqual(plain('\0u@x\0pass word'), { authorize: '', username: 'u@x', password: 'pass word' });
  assert.deepEqual(plain('z\0u\0p'), { authorize: 'z', username: 'u', password: 'p' });
  for (const bad of ['', 'u\0p', '\0\0p', '\0u\0', '\0u\0p\0', '\0u\0\xff'])
    assert.equal(plain(bad), undefined, bad);
});
