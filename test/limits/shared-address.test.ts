import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSharedAddress } from '../../src/limits/shared-address.ts';

test('private addresses, gateways and what is no address are shared by many, others are not', () => {
  for (const address of [
    '127.0.0.1',
    '10.1.2.3',
    '172.17.0.1',
    '192.168.1.9',
    '100.64.0.1',
    '169.254.3.4',
    '::1',
    '::ffff:172.18.0.1',
    'fd00::1',
    'fe80::1%eth0',
    '',
    'gateway',
  ]) {
    assert.equal(isSharedAddress(address), true, address);
  }
  for (const address of ['203.0.113.5', '172.32.0.1', '100.128.0.1', '::ffff:203.0.113.5', '2001:db8::1']) {
    assert.equal(isSharedAddress(address), false, address);
  }
});
