import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeOrigin } from '../../src/mailflow/origin.ts';
import { addressOfFrom } from '../../src/message/address.ts';
import { parseHeader } from '../../src/message/header.ts';

test('an address literal counts from that very address, however either is written, and asks no DNS', async () => {
  const noDns = () => Promise.reject(new Error('asked'));
  for (const [from, peer, ok] of [
    ['a@[192.0.2.1]', '192.0.2.1', true],
    ['a@[192.0.2.1]', '::ffff:192.0.2.1', true],
    ['a@[192.0.2.1]', '::FFFF:192.0.2.1', true],
    ['a@[192.0.2.1]', '192.0.2.10', false],
    ['a@[192.0.2.1]', '::ffff:192.0.2.11', false],
    ['a@[IPv6:2001:DB8:0:0::1]', '2001:db8::1', true],
    ['a@[IPv6:fe80::1]', 'fe80::1%eth0', true],
    ['a@[IPv6:2001:db8::1]', '2001:db8::2', false],
    // Nobody writes an IPv4 address so.
    ['a@[IPv6:::ffff:192.0.2.1]', '192.0.2.1', false],
    ['a@[192.0.2.1]', '', false],
  ] as const) {
    const author = addressOfFrom(parseHeader(Buffer.from(`From: ${from}\r\n\r\n`)));
    assert.ok('address' in author, from);
    const origin = await judgeOrigin(author, peer, Buffer.alloc(0), noDns);
    assert.equal(origin.ok, ok, `${from} ${peer}`);
    if (!origin.ok) assert.match(origin.refusal.reply, /^554 5\.7\.1 From address literal/);
  }
});
