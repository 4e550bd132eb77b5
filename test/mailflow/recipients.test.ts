import assert from 'node:assert/strict';
import { test } from 'node:test';
import { localAddress, outgoingRecipients } from '../../src/mailflow/recipients.ts';

test('an address of ours is the account’s in lower case and without its tag, any other is none', () => {
  for (const [recipient, address] of [
    ['alice@chat.test', 'alice@chat.test'],
    ['Alice+Tag@CHAT.test', 'alice@chat.test'],
    ['alice+a+b@chat.test', 'alice@chat.test'],
    ['"alice"@chat.test', 'alice@chat.test'],
    ['+tag@chat.test', '+tag@chat.test'],
    ['"a@elsewhere.test"@chat.test', '"a@elsewhere.test"@chat.test'],
    ['alice@sub.chat.test', undefined],
    ['alice@chat.test.', undefined],
    ['alice@chat.test@elsewhere.test', undefined],
    ['alice@elsewhere.test', undefined],
    ['alice@[127.0.0.1]', undefined],
    ['alice', undefined],
  ] as const) {
    assert.equal(localAddress(recipient, 'chat.test'), address, recipient);
  }
  assert.equal(localAddress('alice@[192.0.2.1]', '[192.0.2.1]'), 'alice@[192.0.2.1]');
});

test('what is ours goes nowhere, whatever it looks like', () => {
  const recipients = ['alice@chat.test', 'A+b@CHAT.test', '"x"@chat.test', 'no address', 'bob@sub.chat.test'];
  assert.deepEqual(outgoingRecipients(recipients, 'chat.test'), [
    { address: 'bob@sub.chat.test', destination: 'sub.chat.test' },
  ]);
  assert.deepEqual(outgoingRecipients(['a@[192.0.2.1]'], '[192.0.2.1]'), []);
});
