import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import * as openpgp from 'openpgp';
import { readArmor } from '../../src/message/armor.ts';
import { createPacketWalk, MAX_PACKETS_AND_CHUNKS } from '../../src/message/openpgp.ts';
import { packet } from '../harness/encrypted-mail.ts';

function walk(bytes: Buffer, sliceSize = bytes.length): string | undefined {
  const packets = createPacketWalk();
  for (let at = 0; at < bytes.length; at += Math.max(1, sliceSize)) {
    packets.write(bytes.subarray(at, at + sliceSize));
  }
  return packets.finish();
}

function dearmor(armor: unknown): Buffer {
  assert.ok(typeof armor === 'string');
  const slices: Buffer[] = [];
  // openpgp.js writes line feeds; mail has CRLF.
  const text = armor.replace(/\r?\n/g, '\r\n');
  assert.equal(
    readArmor(Buffer.from(text), false, (slice) => slices.push(Buffer.from(slice))),
    undefined,
  );
  return Buffer.concat(slices);
}

const bytes = (...values: number[]) => Buffer.from(values);
const pkesk = packet(1, Buffer.alloc(20));
const skesk = packet(3, Buffer.alloc(20));
const seipd = packet(18, Buffer.alloc(300, 7));
/** New-format SEIPD whose body comes in chunks: exponents of the partial ones, then the size of the last. */
function chunked(type: number, exponents: readonly number[], last: number): Buffer {
  const chunks = exponents.map((exponent) =>
    Buffer.concat([bytes(0xe0 | exponent), Buffer.alloc(2 ** exponent, 0xd2)]),
  );
  return Buffer.concat([bytes(0xc0 | type), ...chunks, packet(18, Buffer.alloc(last, 1)).subarray(1)]);
}
/** Old-format header with a length of 1, 2 or 4 octets. */
function old(type: number, octets: 1 | 2 | 4, body: Buffer): Buffer {
  const length = Buffer.alloc(octets);
  length.writeUIntBE(body.length, 0, octets);
  return Buffer.concat([bytes(0x80 | (type << 2) | { 1: 0, 2: 1, 4: 2 }[octets]), length, body]);
}

test('session keys and one SEIPD that ends with the data are an encrypted message, however they are cut', () => {
  for (const [name, parts] of [
    ['PKESK', [pkesk, seipd]],
    ['SKESK', [skesk, seipd]],
    ['many of both', [pkesk, skesk, pkesk, pkesk, skesk, seipd]],
    ['two-octet length', [pkesk, packet(18, Buffer.alloc(8383))]],
    ['five-octet length', [pkesk, packet(18, Buffer.alloc(8384))]],
    ['five octets for a short length', [pkesk, bytes(0xd2, 255, 0, 0, 0, 3, 1, 2, 3)]],
    ['one partial chunk of 512', [pkesk, chunked(18, [9], 5)]],
    ['partial chunks, later ones short, the last empty', [pkesk, chunked(18, [10, 0, 3, 9], 0)]],
    ['partial chunks, then a long one', [pkesk, chunked(18, [12], 9000)]],
    ['old format, one octet', [old(1, 1, Buffer.alloc(9)), seipd]],
    ['old format, two octets', [old(3, 2, Buffer.alloc(300)), seipd]],
    ['old format, four octets', [old(1, 4, Buffer.alloc(9)), chunked(18, [9, 9], 70)]],
    ['old length that looks like a partial one', [old(1, 1, Buffer.alloc(230)), seipd]],
  ] as const) {
    const message = Buffer.concat(parts);
    for (const sliceSize of [message.length, 1, 7, 512])
      assert.equal(walk(message, sliceSize), undefined, name);
    for (let cut = 0; cut < message.length; cut += message.length > 2000 ? 61 : 1) {
      assert.notEqual(walk(message.subarray(0, cut)), undefined, `${name} cut off at ${cut}`);
    }
    assert.equal(walk(Buffer.concat([message, bytes(0)])), 'data after the encrypted packet', name);
  }
});

test('a message of more packets and chunks than any real one has is refused', () => {
  const empty = packet(1, bytes());
  const keys = (count: number) => Buffer.concat([Buffer.alloc(count * empty.length, empty), seipd]);
  assert.equal(walk(keys(MAX_PACKETS_AND_CHUNKS - 1)), undefined);
  assert.equal(walk(keys(MAX_PACKETS_AND_CHUNKS)), 'too many packets');
  const chunks = new Array<number>(MAX_PACKETS_AND_CHUNKS).fill(0);
  assert.equal(walk(Buffer.concat([pkesk, chunked(18, [9, ...chunks], 1)])), 'too many packets');
});

test('any other sequence of packets is refused', () => {
  for (const [name, message, problem] of [
    ['nothing', bytes(), 'no encrypted packet'],
    ['text', Buffer.from('hello'), 'no OpenPGP packet'],
    ['no session key', seipd, 'encrypted packet without a session key'],
    ['session key alone', pkesk, 'no encrypted packet'],
    ['two SEIPD', [pkesk, seipd, seipd], 'data after the encrypted packet'],
    ['session key last', [pkesk, seipd, pkesk], 'data after the encrypted packet'],
    ['partial session key', [chunked(1, [9], 5), seipd], 'session key packet in partial lengths'],
    ['first chunk too short', [pkesk, chunked(18, [8, 9], 5)], 'first partial length below 512'],
    ['old indeterminate length', [bytes(0x87, 1, 2, 3)], 'packet of indeterminate length'],
    ['overshoot', [pkesk, bytes(0xd2, 200)], 'packet that is cut off'],
    ['overshoot by 4 GB', [pkesk, bytes(0xd2, 255, 255, 255, 255, 255, 1)], 'packet that is cut off'],
    ['header cut off', [pkesk, bytes(0xd2)], 'packet that is cut off'],
    // Literal, compressed, marker, padding, signature, one-pass signature, old encryption, AEAD draft, key.
    ...[11, 8, 10, 21, 2, 4, 9, 20, 6, 0, 60, 63].flatMap(
      (type) =>
        [
          [`type ${type} first`, [packet(type, Buffer.alloc(5)), pkesk, seipd], `packet of type ${type}`],
          [`type ${type} between`, [pkesk, packet(type, Buffer.alloc(5)), seipd], `packet of type ${type}`],
        ] as const,
    ),
  ] as const) {
    const whole = Buffer.isBuffer(message) ? message : Buffer.concat(message);
    assert.equal(walk(whole), problem, name);
    assert.equal(walk(whole, 1), problem, `${name}, byte by byte`);
  }
});

test('what openpgp.js makes is told apart: encrypted to keys or passwords, against everything else', async () => {
  const make = (v6Keys: boolean) =>
    openpgp.generateKey({
      type: 'curve25519',
      userIDs: [{ email: 'a@chat.test' }],
      format: 'object',
      config: { ...openpgp.config, v6Keys, aeadProtect: v6Keys },
    });
  const [old, fresh] = await Promise.all([make(false), make(true)]);
  const text = 'words '.repeat(4000);
  const message = await openpgp.createMessage({ text });
  const big = await openpgp.createMessage({
    binary: new Uint8Array(300_000).map((_, at) => (at * 7919) >> 3),
  });
  const aead = { ...openpgp.config, aeadProtect: true };
  const plain = { ...openpgp.config, aeadProtect: false };

  for (const [name, armored] of [
    ['PKESK v3, SEIPD v1', openpgp.encrypt({ message, encryptionKeys: old.publicKey, config: plain })],
    ['PKESK v6, SEIPD v2', openpgp.encrypt({ message, encryptionKeys: fresh.publicKey })],
    ['two keys', openpgp.encrypt({ message, encryptionKeys: [fresh.publicKey, old.publicKey] })],
    ['hidden recipient', openpgp.encrypt({ message, encryptionKeys: old.publicKey, wildcard: true })],
    ['SKESK v4, SEIPD v1', openpgp.encrypt({ message, passwords: 'secret', config: plain })],
    ['SKESK v6, SEIPD v2', openpgp.encrypt({ message, passwords: ['a', 'b'], config: aead })],
    ['signed too', openpgp.encrypt({ message, encryptionKeys: old.publicKey, signingKeys: old.privateKey })],
    ['big', openpgp.encrypt({ message: big, encryptionKeys: old.publicKey })],
  ] as const) {
    assert.equal(walk(dearmor(await armored)), undefined, name);
  }

  const literal = Buffer.from((await openpgp.unarmor(message.armor())).data as Uint8Array);
  const compressed = packet(8, Buffer.concat([bytes(2), deflateSync(literal)]));
  const read = await openpgp.readMessage({ binaryMessage: compressed });
  assert.equal(read.getText(), text, 'openpgp.js reads the compressed message');
  assert.equal(walk(compressed), 'packet of type 8');
  for (const [name, armored, problem] of [
    ['literal', message.armor(), 'packet of type 11'],
    ['signed', await openpgp.sign({ message, signingKeys: old.privateKey }), 'packet of type 4'],
  ] as const) {
    assert.equal(walk(dearmor(armored)), problem, name);
  }
});
