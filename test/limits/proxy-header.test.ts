import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_V1, MAX_V2_REST, readProxyHeader } from '../../src/limits/proxy-header.ts';
import { LOCAL_V2, headerV1, headerV2, rawV2 } from '../harness/proxy-header.ts';

const read = (bytes: string | Buffer) => readProxyHeader(Buffer.from(bytes as string, 'latin1'));
const LONGEST_V1 = `PROXY UNKNOWN ${'f'.repeat(MAX_V1 - 'PROXY UNKNOWN \r\n'.length)}\r\n`;

describe('version 1', () => {
  test('names a client of IPv4 or IPv6', () => {
    for (const [source, address] of [
      ['203.0.113.9', '203.0.113.9'],
      ['2001:DB8::9', '2001:db8::9'],
      ['2001:0db8:0000:0000:0000:0000:0000:0009', '2001:db8::9'],
    ] as const) {
      const header = headerV1({ source });
      assert.deepEqual(read(`${header}EHLO x\r\n`), { address, length: header.length });
    }
  });

  test('UNKNOWN keeps the address of the proxy, whatever stands behind it', () => {
    for (const header of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN a b c\r\n', LONGEST_V1])
      assert.deepEqual(read(header), { address: undefined, length: header.length });
  });

  test('is invalid with anything else', () => {
    for (const line of [
      'PROXY \r\n',
      'PROXY TCP4\r\n',
      'PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n',
      'PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n',
      'PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n',
      'PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n',
      'PROXY TCP4 1.2.3.4 host 1 2\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n',
      'PROXY TCP4 ::1 ::1 1 2\r\n',
      'PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n',
      'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
      'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n',
    ])
      assert.equal(read(line), 'invalid', line);
  });

  test('is invalid as soon as no end can come within its bound', () => {
    const line = 'PROXY UNKNOWN '.padEnd(MAX_V1 + 10, 'x');
    assert.equal(read(line.slice(0, MAX_V1 - 1)), 'incomplete');
    assert.equal(read(line.slice(0, MAX_V1)), 'invalid');
    assert.equal(read(`${line.slice(0, MAX_V1 - 1)}\r\n`), 'invalid');
  });
});

describe('version 2', () => {
  test('names a client of IPv4 or IPv6, whatever is told beside it', () => {
    for (const source of ['203.0.113.9', '2001:db8::9', '::1']) {
      for (const more of [0, 1, 500, MAX_V2_REST - 36]) {
        const header = headerV2({ source }, Buffer.alloc(more, 3));
        const bytes = Buffer.concat([header, Buffer.from('\x16\x03\x01')]);
        assert.deepEqual(read(bytes), { address: source, length: header.length });
      }
    }
    assert.deepEqual(read(headerV2({ source: '0:0:0:0:0:ffff:cb00:7109' })), {
      address: '::ffff:203.0.113.9',
      length: 52,
    });
  });

  test('LOCAL keeps the address of the proxy and passes over all else', () => {
    assert.deepEqual(read(LOCAL_V2), { address: undefined, length: 16 });
    const withAddress = headerV2({ source: '203.0.113.9' });
    withAddress.writeUInt8(0x20, 12);
    assert.deepEqual(read(withAddress), { address: undefined, length: 28 });
    assert.deepEqual(read(rawV2(0x20, 0xff, Buffer.alloc(9))), { address: undefined, length: 25 });
  });

  test('so does a client without an address: unspecified, or a socket of the machine', () => {
    assert.deepEqual(read(rawV2(0x21, 0x00, Buffer.alloc(0))), { address: undefined, length: 16 });
    assert.deepEqual(read(rawV2(0x21, 0x31, Buffer.alloc(216))), { address: undefined, length: 232 });
  });

  test('is invalid in another version, command, family or transport, too short and too long', () => {
    const rest = Buffer.alloc(36);
    for (const [command, family] of [
      [0x11, 0x11],
      [0x01, 0x11],
      [0x31, 0x11],
      [0x22, 0x11],
      [0x2f, 0x00],
      [0x21, 0x12],
      [0x21, 0x22],
      [0x21, 0x32],
      [0x21, 0x10],
      [0x21, 0x41],
    ] as const)
      assert.equal(read(rawV2(command, family, rest)), 'invalid', `${command} ${family}`);
    assert.equal(read(rawV2(0x21, 0x11, Buffer.alloc(11))), 'invalid');
    assert.equal(read(rawV2(0x21, 0x21, Buffer.alloc(35))), 'invalid');
    assert.equal(read(rawV2(0x21, 0x11, Buffer.alloc(0), MAX_V2_REST + 1)), 'invalid');
    assert.equal(read(rawV2(0x20, 0x00, Buffer.alloc(0), MAX_V2_REST + 1)), 'invalid');
  });
});

test('what a client says is known for no header at its first wrong byte', () => {
  assert.equal(read(''), 'incomplete');
  for (const [text, wrong] of [
    ['EHLO x\r\n', 1],
    ['PROXi', 5],
    ['PROXY\t', 6],
    ['\x16\x03\x01', 1],
    ['\r\n\r\n\r\n', 5],
    ['\r\n\r\n\0\r\nQUIT\r', 12],
  ] as const) {
    assert.equal(read(text.slice(0, wrong - 1)), 'incomplete', text);
    assert.equal(read(text.slice(0, wrong)), 'invalid', text);
  }
});
