import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseKey } from '../../src/authenticity/key-record.ts';
import { recordOf, stringsOf } from '../../src/dkim/record.ts';
import { makeDkimKey } from '../harness/signed-mail.ts';

const rsa = makeDkimKey();
const ed25519 = makeDkimKey('ed25519');

test('the record of an RSA key is the one that upstream writes', () => {
  assert.deepEqual(recordOf(rsa.privateKey, 'opendkim', 'chat.example.org'), {
    name: 'opendkim._domainkey.chat.example.org',
    value: `v=DKIM1;k=rsa;p=${rsa.p};s=email;t=s`,
  });
});

test('the record of an Ed25519 key holds the bare key (RFC 8463 4.2)', () => {
  const { value } = recordOf(ed25519.privateKey, 'ed', '_relay.test');
  assert.equal(value, `v=DKIM1;k=ed25519;p=${ed25519.p};s=email;t=s`);
  assert.equal(Buffer.from(ed25519.p, 'base64').length, 32);
});

test('its strings are short enough, and are the record when they are joined', () => {
  const { value } = recordOf(makeDkimKey('rsa', 4096).privateKey, 'opendkim', 'example.org');
  const strings = stringsOf(value);
  assert.ok(strings.length === 3 && strings.every((text) => text.length <= 255));
  assert.equal(strings.join(''), value);
  const read = chooseKey([strings]);
  assert.ok(!('problem' in read) && read.sameDomain);
  assert.deepEqual(stringsOf('short'), ['short']);
});
