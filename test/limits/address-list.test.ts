import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAddressList } from '../../src/limits/address-list.ts';

test('addresses and networks of both families are found, however a socket writes them', () => {
  const list = createAddressList(['192.0.2.7', '10.0.0.0/8', '2001:db8:1::/48', 'fe80::1', '::1']);
  for (const address of [
    '192.0.2.7',
    '::ffff:192.0.2.7',
    '10.255.0.1',
    '::ffff:10.0.0.1',
    '2001:db8:1:ffff::1',
    '2001:0DB8:0001::2',
    'fe80::1%eth0',
    '::1',
  ])
    assert.equal(list.has(address), true, address);
  for (const address of [
    '192.0.2.8',
    '11.0.0.1',
    '::ffff:11.0.0.1',
    '2001:db8:2::1',
    'fe80::2%eth0',
    // RFC 4291 2.5.5.1: an IPv6 address of its own, whatever its last bits say.
    '::192.0.2.7',
    '::',
    '127.0.0.1',
    '',
    'host',
  ])
    assert.equal(list.has(address), false, address);
});

test('an empty list has nobody, and a whole family is no entry of the other', () => {
  assert.equal(createAddressList([]).has('127.0.0.1'), false);
  const list = createAddressList(['0.0.0.0/1', '128.0.0.0/1']);
  assert.equal(list.has('203.0.113.9'), true);
  assert.equal(list.has('2001:db8::1'), false);
});
