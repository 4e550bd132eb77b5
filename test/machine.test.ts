import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenedAddresses } from '../src/machine.ts';

test('a relay is reached at what it listens on, and at all the machine has where something passes on to it', () => {
  const own = ['127.0.0.1', '8.8.4.4', '8.8.8.8', '2600::5'];
  const at = (listen_address: string | undefined, disable_ipv6 = false) =>
    listenedAddresses({ listen_address, disable_ipv6 }, own);
  const ipv4 = ['127.0.0.1', '8.8.4.4', '8.8.8.8'];
  assert.deepEqual(at(undefined), own);
  assert.deepEqual(at(undefined, true), ipv4);
  assert.deepEqual(at('0.0.0.0'), ipv4);
  assert.deepEqual(at('::'), own);
  assert.deepEqual(at('8.8.8.8'), ['8.8.8.8']);
  assert.deepEqual(at('8.8.8.8', true), ['8.8.8.8']);
  for (const proxied of ['127.0.0.1', '::1', '10.1.2.3']) assert.deepEqual(at(proxied), own);
});
