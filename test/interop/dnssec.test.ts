import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { DnsTrouble } from '../../src/dns/resolver.ts';
import { createValidatingLookup } from '../../src/dns/validating.ts';
import type { ValidatingLookup } from '../../src/dns/validating.ts';
import { systemClock, systemRandom } from '../../src/machine.ts';
import { without } from '../harness/peers.ts';
import { startUnbound } from '../harness/unbound.ts';
import type { Unbound } from '../harness/unbound.ts';

const never = new AbortController().signal;
const digest = 'ab'.repeat(32);

suite('what a real resolver has validated', { skip: without('unbound') }, () => {
  let unbound: Unbound;
  let lookup: ValidatingLookup;

  before(async () => {
    const many = Array.from(
      { length: 40 },
      (_, n) => `_25._tcp.many TLSA 3 1 2 ${n.toString(16).padStart(128, '0')}`,
    );
    unbound = await startUnbound([
      {
        name: 'signed.test',
        kind: 'signed',
        records: [
          '@ MX 10 mx',
          'mx A 127.0.0.2',
          `_25._tcp.mx TLSA 3 1 1 ${digest}`,
          'inner CNAME mx',
          'outer CNAME mx.plain.test.',
          ...many,
        ],
      },
      {
        name: 'plain.test',
        kind: 'plain',
        records: ['@ MX 10 mx', 'mx A 127.0.0.2', `_25._tcp.mx TLSA 3 1 1 ${digest}`],
      },
      {
        name: 'forged.test',
        kind: 'forged',
        records: ['mx A 127.0.0.2', `_25._tcp.mx TLSA 3 1 1 ${digest}`],
      },
    ]);
    lookup = createValidatingLookup({
      servers: [unbound.address],
      timeoutMs: 5000,
      clock: systemClock,
      random: systemRandom,
    });
  });
  after(() => unbound[Symbol.asyncDispose]());

  test('signed records, and that there are none', async () => {
    const found = await lookup.ask('_25._tcp.mx.signed.test', 'TLSA', never);
    assert.deepEqual(
      [found.authentic, found.tlsa, found.ttl],
      [true, [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.from(digest, 'hex') }], 300_000],
    );
    for (const name of ['_25._tcp.signed.test', 'mx.signed.test', 'nobody.signed.test']) {
      const none = await lookup.ask(name, 'TLSA', never);
      assert.deepEqual([none.authentic, none.exists, none.ttl], [true, false, 120_000], name);
    }
    assert.equal((await lookup.ask('signed.test', 'MX', never)).authentic, true);
  });

  test('records without a signature are told, and not vouched for', async () => {
    const found = await lookup.ask('_25._tcp.mx.plain.test', 'TLSA', never);
    assert.deepEqual([found.authentic, found.exists], [false, true]);
  });

  test('an alias is vouched for as far as it leads', async () => {
    const inner = await lookup.ask('inner.signed.test', 'A', never);
    assert.deepEqual([inner.authentic, inner.name], [true, 'mx.signed.test']);
    const outer = await lookup.ask('outer.signed.test', 'A', never);
    assert.deepEqual([outer.authentic, outer.name], [false, 'mx.plain.test']);
    assert.equal((await lookup.ask('outer.signed.test', 'CNAME', never)).authentic, true);
  });

  test('forged data is trouble', async () => {
    await assert.rejects(lookup.ask('mx.forged.test', 'A', never), (error: Error) => {
      assert.ok(error instanceof DnsTrouble);
      assert.match(error.message, /SERVFAIL/);
      return true;
    });
  });

  test('many records come over TCP', async () => {
    const found = await lookup.ask('_25._tcp.many.signed.test', 'TLSA', never);
    assert.deepEqual([found.authentic, found.tlsa.length], [true, 32]);
  });
});
