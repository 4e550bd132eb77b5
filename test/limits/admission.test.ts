import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAdmission } from '../../src/limits/admission.ts';
import { peerNetwork } from '../../src/limits/peer-network.ts';

test('connections are admitted up to the limit of one peer and of all together', () => {
  const admission = createAdmission({ max: 3, maxPerPeer: 2 });
  const first = admission.admit('192.0.2.1');
  const second = admission.admit('192.0.2.1');
  assert.ok(first && second);
  assert.equal(admission.admit('192.0.2.1'), undefined, 'third of the same peer');
  assert.ok(admission.admit('192.0.2.2'));
  assert.equal(admission.admit('192.0.2.3'), undefined, 'fourth in all');
  assert.equal(admission.count, 3);
});

test('a place given back twice is given back once', () => {
  const admission = createAdmission({ max: 2, maxPerPeer: 1 });
  const release = admission.admit('192.0.2.1');
  admission.admit('192.0.2.2');
  release?.();
  release?.();
  assert.equal(admission.count, 1);
  assert.ok(admission.admit('192.0.2.1'));
  assert.equal(admission.admit('192.0.2.3'), undefined);
});

test('an IPv6 peer is its /64, an IPv4 peer is its address however it is written', () => {
  const same: readonly (readonly [string, string])[] = [
    ['2001:db8::1', '2001:db8:0:0:ffff::9'],
    ['2001:db8:0:1::1', '2001:0DB8:0000:0001:1:2:3:4'],
    ['::1', '::2'],
    ['fe80::1%eth0', 'fe80::2%eth1'],
    ['192.0.2.1', '::ffff:192.0.2.1'],
    ['2001:db8:1:2:3:4:192.0.2.1', '2001:db8:1:2::'],
  ];
  for (const [a, b] of same) assert.equal(peerNetwork(a), peerNetwork(b), `${a} ${b}`);
  const different: readonly (readonly [string, string])[] = [
    ['2001:db8:0:1::1', '2001:db8:0:2::1'],
    ['2001:db8::1', '2001:db8:1::1'],
    ['192.0.2.1', '192.0.2.2'],
    ['::1', '192.0.2.1'],
  ];
  for (const [a, b] of different) assert.notEqual(peerNetwork(a), peerNetwork(b), `${a} ${b}`);
  assert.equal(peerNetwork('2001:db8::1'), '2001:db8:0:0::/64');
  assert.equal(peerNetwork(''), '');
});
