import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_V1, MAX_V2_REST, readProxyHeader } from '../../src/limits/proxy-header.ts';
import { LOCAL_V2, headerV1, headerV2, rawV2 } from '../harness/proxy-header.ts';

const V2_FIXED = 16;
const port = fc.nat(65_535);
const source = fc.oneof(
  fc.ipV4(),
  // In the eight groups that the harness knows how to write.
  fc
    .array(fc.nat(65_535), { minLength: 8, maxLength: 8 })
    .map((all) => all.map((one) => one.toString(16)).join(':')),
);
const proxied = fc.record({ source, sourcePort: port, destinationPort: port });
const rest = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

const header = fc.oneof(
  proxied.map((one) => Buffer.from(headerV1(one))),
  fc.tuple(proxied, rest).map(([one, more]) => headerV2(one, more)),
  fc.constantFrom(LOCAL_V2, Buffer.from('PROXY UNKNOWN\r\n')),
  rest.map((more) => rawV2(0x20, 0x11, more)),
);

test('cut at any byte a header is incomplete, and whole it is read to its end, whatever follows', () => {
  fc.assert(
    fc.property(header, rest, (bytes, more) => {
      for (let length = 0; length < bytes.length; length++)
        assert.equal(readProxyHeader(bytes.subarray(0, length)), 'incomplete');
      const whole = readProxyHeader(Buffer.concat([bytes, more]));
      assert.ok(typeof whole === 'object');
      assert.equal(whole.length, bytes.length);
      assert.deepEqual(readProxyHeader(bytes), whole);
    }),
  );
});

test('both versions name the same client', () => {
  fc.assert(
    fc.property(proxied, (one) => {
      const [first, second] = [readProxyHeader(Buffer.from(headerV1(one))), readProxyHeader(headerV2(one))];
      assert.ok(typeof first === 'object' && typeof second === 'object');
      assert.equal(first.address, second.address);
    }),
  );
});

test('whatever the bytes: never an exception, never unbounded, and no change of mind as more come', () => {
  const broken = fc
    .tuple(header, fc.nat(60), fc.nat(255))
    .map(([bytes, at, value]) => Buffer.from(bytes.map((byte, place) => (place === at ? value : byte))));
  const anything = fc.oneof(
    broken,
    rest,
    rest.map((more) => Buffer.concat([Buffer.from('PROXY '), more])),
    fc
      .tuple(fc.nat(255), fc.nat(255), fc.nat(65_535), rest)
      .map(([command, family, length, more]) => rawV2(command, family, more, length)),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      let before: ReturnType<typeof readProxyHeader> = 'incomplete';
      for (let length = 0; length <= bytes.length; length++) {
        const now = readProxyHeader(bytes.subarray(0, length));
        if (before !== 'incomplete') assert.deepEqual(now, before);
        if (now === 'incomplete') assert.ok(length < Math.max(MAX_V1, V2_FIXED + MAX_V2_REST));
        if (typeof now === 'object') assert.ok(now.length <= length);
        before = now;
      }
    }),
  );
});
