import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_VERSION_LINE, readArmor } from '../../src/message/armor.ts';
import { armor } from '../harness/encrypted-mail.ts';

const data = Buffer.from(Array.from({ length: 100 }, (_, at) => (at * 37) & 0xff));
const BEGIN = '-----BEGIN PGP MESSAGE-----\r\n';
const END = '-----END PGP MESSAGE-----';

function read(text: string, allowVersion = false): string | Buffer {
  const slices: Buffer[] = [];
  const problem = readArmor(Buffer.from(text, 'latin1'), allowVersion, (slice) =>
    slices.push(Buffer.from(slice)),
  );
  return problem ?? Buffer.concat(slices);
}

test('armor gives its bytes back, with a checksum and without, whatever the padding', () => {
  for (let size = 94; size <= 100; size++) {
    const part = data.subarray(0, size);
    for (const checksum of ['=aB3/', '']) {
      assert.deepEqual(read(armor(part, { checksum })), part, `${size} bytes, checksum ${checksum}`);
    }
  }
  const base64 = data.toString('base64');
  for (const [name, text] of [
    ['one long line', `${BEGIN}\r\n${base64}\r\n${END}`],
    ['odd lines', `${BEGIN}\r\n${base64.replace(/.{7}/g, '$&\r\n')}\r\n${END}\r\n`],
    ['empty lines', `${BEGIN}\r\n\r\n${base64}\r\n\r\n=aB3/\r\n\r\n${END}\r\n\r\n\r\n`],
    ['no empty line', `${BEGIN}${base64}\r\n${END}`],
  ] as const) {
    assert.deepEqual(read(text), data, name);
  }
});

test('a Version line is allowed where the caller says so, any other armor header never', () => {
  const withHeaders = (...headers: string[]) => armor(data, { headers });
  assert.equal(read(withHeaders('Version: GnuPG v2')), 'armor header');
  assert.deepEqual(read(withHeaders('Version: GnuPG v2'), true), data);
  assert.deepEqual(read(withHeaders('Version: '), true), data);
  for (const headers of [
    ['Comment: secret'],
    ['Hash: SHA256'],
    ['Charset: UTF-8'],
    ['version: 1'],
    ['Version:1'],
    ['Version: 1', 'Version: 2'],
    ['Version: 1', 'Comment: secret'],
    ['Comment: secret', 'Version: 1'],
    ['MessageID'],
    [' '],
    [`Version: ${'x'.repeat(MAX_VERSION_LINE)}`],
  ]) {
    assert.equal(typeof read(withHeaders(...headers), true), 'string', headers.join());
  }
});

test('whatever is not armor from the first byte to the last is refused', () => {
  const sound = armor(data);
  const base64 = data.subarray(0, 99).toString('base64');
  for (const [name, text] of [
    ['nothing', ''],
    ['begin alone', BEGIN],
    ['end alone', END],
    ['begin and end in one line', '-----BEGIN PGP MESSAGE-----\r\n-----END PGP MESSAGE----'],
    ['text before', `x${sound}`],
    ['empty line before', `\r\n${sound}`],
    ['text after', `${sound}x`],
    ['space after', `${sound} `],
    ['line feeds', sound.replaceAll('\r\n', '\n')],
    ['space behind begin', sound.replace('-----\r\n', '----- \r\n')],
    ['lower case', sound.toLowerCase()],
    ['signed message', sound.replaceAll('PGP MESSAGE', 'PGP SIGNATURE')],
    ['public key', sound.replaceAll('PGP MESSAGE', 'PGP PUBLIC KEY BLOCK')],
    ['end within a line', `${BEGIN}\r\n${base64}${END}`],
    ['two armors', sound + sound],
    ['text among the data', sound.replace('\r\n\r\n', '\r\n\r\nhello there!\r\n')],
    ['colon line among the data', sound.replace('\r\n\r\n', '\r\n\r\nA: b\r\n')],
    ['space in a line', `${BEGIN}\r\n${base64.slice(0, 8)} ${base64.slice(8)}\r\n${END}`],
    ['URL alphabet', `${BEGIN}\r\n-_-_\r\n${END}`],
    ['bare line feed among the data', `${BEGIN}\r\n${base64.slice(0, 8)}\n${base64.slice(8)}\r\n${END}`],
    ['padding missing', `${BEGIN}\r\nAAA\r\n${END}`],
    ['one character left', `${BEGIN}\r\nAAAAA\r\n${END}`],
    ['unused bits set', `${BEGIN}\r\nAAB=\r\n${END}`],
    ['unused bits set, one byte', `${BEGIN}\r\nAB==\r\n${END}`],
    ['too much padding', `${BEGIN}\r\nAAA==\r\n${END}`],
    ['padding alone', `${BEGIN}\r\n====\r\n${END}`],
    ['data after padding', `${BEGIN}\r\nAAA=\r\nAAAA\r\n${END}`],
    ['checksum in the line of the data', `${BEGIN}\r\nAAAA=aB3/\r\n${END}`],
    ['checksum behind padding in one line', `${BEGIN}\r\nAAA==aB3/\r\n${END}`],
    ['checksum too short', `${BEGIN}\r\nAAAA\r\n=aB3\r\n${END}`],
    ['checksum too long', `${BEGIN}\r\nAAAA\r\n=aB3/x\r\n${END}`],
    ['text in place of the checksum', `${BEGIN}\r\nAAAA\r\n=a secret of any length\r\n${END}`],
    ['two checksums', `${BEGIN}\r\nAAAA\r\n=aB3/\r\n=aB3/\r\n${END}`],
    ['data behind the checksum', `${BEGIN}\r\nAAAA\r\n=aB3/\r\nAAAA\r\n${END}`],
    ['space behind the checksum', `${BEGIN}\r\nAAAA\r\n=aB3/ \r\n${END}`],
  ] as const) {
    assert.equal(typeof read(text), 'string', name);
  }
});
