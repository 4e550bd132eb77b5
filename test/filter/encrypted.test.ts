import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isEncrypted, MAX_TEXT_AROUND_PARTS } from '../../src/filter/encrypted.ts';
import type { Direction } from '../../src/filter/encrypted.ts';
import { parseHeader } from '../../src/message/header.ts';
import {
  armor,
  BOUNDARY,
  controlPart,
  dataPart,
  encryptedPackets,
  mail,
  packet,
} from '../harness/encrypted-mail.ts';

const check = (message: Buffer, direction: Direction) =>
  isEncrypted(message, parseHeader(message), direction);
const samples = new URL('../data/delta-chat-mail/', import.meta.url);

test('all that Delta Chat sends passes, but for the legacy handshake and forced cleartext', () => {
  const files = readdirSync(samples).filter((name) => name.endsWith('.eml'));
  assert.ok(files.length >= 30);
  for (const file of files) {
    const message = readFileSync(new URL(file, samples));
    for (const direction of ['outgoing', 'incoming'] as const) {
      const encrypted = !/^x0001|^x0018/.test(file);
      assert.equal(check(message, direction).encrypted, encrypted, file);
    }
  }
});

const octets = 'Content-Type: application/octet-stream';
const packets = encryptedPackets();

test('the forms that encrypted mail has in the field pass in both directions', () => {
  for (const [name, message] of [
    ['as Delta Chat makes it', mail()],
    [
      'types in other case',
      mail({
        contentType: `CONTENT-TYPE: Multipart/ENCRYPTED; BOUNDARY="${BOUNDARY}"`,
        parts: [controlPart.replace('application', 'APPLICATION'), dataPart().replace('octet', 'Octet')],
      }),
    ],
    [
      'comments in the type',
      mail({
        contentType: `Content-Type: (a) multipart (b) /encrypted (c);\r\n boundary (d) = "${BOUNDARY}" (e)`,
      }),
    ],
    [
      'no checksum, no padding',
      mail({ parts: [controlPart, dataPart(armor(encryptedPackets(102), { checksum: '' }))] }),
    ],
    [
      'no checksum, padding',
      mail({ parts: [controlPart, dataPart(armor(encryptedPackets(101), { checksum: '' }))] }),
    ],
    [
      'a disposition',
      mail({
        parts: [
          controlPart,
          dataPart(
            armor(packets),
            `${octets}; name="encrypted.asc"\r\nContent-Description: OpenPGP encrypted message\r\nContent-Disposition: inline; filename="encrypted.asc"`,
          ),
        ],
      }),
    ],
    [
      'base64',
      mail({
        parts: [
          controlPart,
          dataPart(
            Buffer.from(armor(packets)).toString('base64').replace(/.{76}/g, '$&\r\n'),
            `${octets}\r\nContent-Transfer-Encoding: BASE64`,
          ),
        ],
      }),
    ],
    [
      'quoted-printable',
      mail({
        parts: [
          controlPart,
          dataPart(
            armor(packets).replaceAll('=', '=3D').replace('BEGIN', 'BE=\r\nGIN'),
            `${octets}\r\nContent-Transfer-Encoding: quoted-printable`,
          ),
        ],
      }),
    ],
    [
      'Version: 1 in base64',
      mail({
        parts: [
          'Content-Type: application/pgp-encrypted\r\nContent-Transfer-Encoding: base64\r\n\r\nVmVyc2lvbjogMQ0K',
          dataPart(),
        ],
      }),
    ],
    [
      'space around Version: 1',
      mail({
        parts: ['Content-Type: application/pgp-encrypted\r\n\r\n\r\n Version: 1 \r\n\r\n', dataPart()],
      }),
    ],
    ['space behind the boundary', mail({ ending: `--${BOUNDARY}-- \t` })],
    ['empty lines around', mail({ preamble: '\r\n \r\n', ending: `--${BOUNDARY}--\r\n\r\n\t\r\n` })],
    ['no line end at the end', mail({ ending: `--${BOUNDARY}--` })],
  ] as const) {
    for (const direction of ['outgoing', 'incoming'] as const) {
      assert.deepEqual(check(message, direction), { encrypted: true }, `${name}, ${direction}`);
    }
  }
});

test('a usual preamble and an armor Version pass from outside, but not from our users', () => {
  const preamble = 'This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n';
  for (const [message, why] of [
    [mail({ preamble }), 'text before the parts'],
    [mail({ ending: `--${BOUNDARY}--\r\n_____\r\nlist footer\r\n` }), 'text after the parts'],
    [
      mail({ parts: [controlPart, dataPart(armor(packets, { headers: ['Version: GnuPG v2'] }))] }),
      'armor header',
    ],
  ] as const) {
    assert.deepEqual(check(message, 'incoming'), { encrypted: true });
    assert.deepEqual(check(message, 'outgoing'), { encrypted: false, why });
  }
  const letter = `${'words '.repeat(MAX_TEXT_AROUND_PARTS / 6 + 1)}\r\n`;
  for (const message of [mail({ preamble: letter }), mail({ ending: `--${BOUNDARY}--\r\n${letter}` })]) {
    assert.equal(check(message, 'incoming').encrypted, false, 'a whole letter around the parts');
  }
});

const type = `Content-Type: multipart/encrypted; boundary="${BOUNDARY}"`;
const data = dataPart();
const second = (body: string, header?: string) => mail({ parts: [controlPart, dataPart(body, header)] });
const first = (part: string) => mail({ parts: [part, data] });

test('every other form is cleartext in both directions, and the reason says which rule', () => {
  const cases: readonly (readonly [string, Buffer, RegExp])[] = [
    ['no type', mail({ contentType: '' }), /not multipart\/encrypted/],
    [
      'multipart/mixed',
      mail({ contentType: type.replace('encrypted', 'mixed') }),
      /not multipart\/encrypted/,
    ],
    ['no boundary', mail({ contentType: 'Content-Type: multipart/encrypted' }), /without a boundary/],
    ['two types', mail({ contentType: `${type}\r\n${type}` }), /more than one Content-Type/],
    ['two types, different', mail({ headers: ['content-type : text/plain'] }), /space before the colon/],
    ['two boundaries', mail({ contentType: `${type}; boundary=other` }), /more than one boundary/],
    [
      'two boundaries by RFC 2231',
      mail({ contentType: `${type}; boundary*0=other` }),
      /more than one boundary/,
    ],
    ['unclear type', mail({ contentType: `${type} x` }), /text between parameters/],
    ['unclosed quote', mail({ contentType: type.slice(0, -1) }), /quoted string/],
    ['encoded as a whole', mail({ headers: ['Content-Transfer-Encoding: base64'] }), /encoded as a whole/],
    [
      'two encodings',
      mail({ headers: ['Content-Transfer-Encoding: 7bit', 'Content-Transfer-Encoding: 8bit'] }),
      /more than one Content-Transfer/,
    ],
    ['malformed header', mail({ headers: ['no field'] }), /not a field/],
    ['no part', mail({ parts: [] }), /fewer than two/],
    ['control part alone', mail({ parts: [controlPart] }), /fewer than two/],
    ['data part alone', mail({ parts: [data] }), /fewer than two/],
    ['three parts', mail({ parts: [controlPart, data, data] }), /more than 2/],
    ['text as a third part', mail({ parts: [controlPart, data, '\r\nhello'] }), /more than 2/],
    ['text as a part between', mail({ parts: [controlPart, '\r\nhello', data] }), /more than 2/],
    ['parts turned round', mail({ parts: [data, controlPart] }), /first part is not/],
    [
      'a multipart in it',
      first(`Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x--`),
      /first part is not/,
    ],
    ['a message in it', second(armor(packets), 'Content-Type: message/rfc822'), /second part is not/],
    ['not closed', mail({ ending: '' }), /closing boundary/],
    ['closed within a line', mail({ ending: `x--${BOUNDARY}--` }), /closing boundary/],
    ['closed twice', mail({ ending: `--${BOUNDARY}--\r\n--${BOUNDARY}--` }), /after the closing one/],
    ['line like a boundary', mail({ preamble: `--${BOUNDARY}x\r\n` }), /only begins with the boundary/],
    ['other Version', first(controlPart.replace('1\r\n', '2\r\n')), /Version: 1/],
    ['Version with text', first(`${controlPart}hello`), /Version: 1/],
    ['text before Version', first(controlPart.replace('Version', 'hello\r\nVersion')), /Version: 1/],
    ['lower-case version', first(controlPart.replace('Version', 'version')), /Version: 1/],
    ['first part untyped', first('\r\nVersion: 1'), /first part is not/],
    [
      'first part encoded in hiding',
      first(
        'Content-Type: application/pgp-encrypted\r\nContent-Transfer-Encoding: base64\r\n\r\nVmVyc2lvbjogMQ0K!hello!',
      ),
      /Version: 1/,
    ],
    ['first part large', first(controlPart + ' '.repeat(2000)), /Version: 1/],
    [
      'first part of two types',
      first(`Content-Type: text/plain\r\n${controlPart}`),
      /first part: more than one/,
    ],
    ['first part without an end of header', first('Content-Type: application/pgp-encrypted'), /Version: 1/],
    [
      'second part of two types',
      second(armor(packets), `${octets}\r\nContent-type: text/html`),
      /second part: more than one/,
    ],
    [
      'second part of two encodings',
      second(
        armor(packets),
        `${octets}\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64`,
      ),
      /second part: more than one/,
    ],
    [
      'unknown encoding',
      second(armor(packets), `${octets}\r\nContent-Transfer-Encoding: x-uuencode`),
      /unknown Content-Transfer/,
    ],
    [
      'said to be base64',
      second(armor(packets), `${octets}\r\nContent-Transfer-Encoding: base64`),
      /broken transfer encoding/,
    ],
    ['text/plain', second(armor(packets), 'Content-Type: text/plain'), /second part is not/],
    [
      'a line that is no field in the part',
      second(armor(packets), `${octets}\r\nhello`),
      /second part: header line/,
    ],
    ['plain text', second('hello'), /no armor at the start/],
    ['text before the armor', second(`hello\r\n${armor(packets)}`), /no armor at the start/],
    ['text after the armor', second(`${armor(packets)}hello`), /no armor at the end/],
    ['Comment', second(armor(packets, { headers: ['Comment: hello'] })), /armor with/],
    ['text for a checksum', second(armor(packets, { checksum: '=hello there' })), /armor with text/],
    ['broken base64', second(armor(packets).replace('wS', 'w*')), /armor with/],
    ['signed', second(armor(packet(2, packets))), /type 2/],
    ['literal', second(armor(packet(11, packets))), /type 11/],
    [
      'literal after a session key',
      second(armor(Buffer.concat([packet(1, packets), packet(11, packets)]))),
      /type 11/,
    ],
    ['ciphertext without a session key', second(armor(packet(18, packets))), /without a session key/],
    ['session key alone', second(armor(packet(1, packets))), /no encrypted packet/],
    ['two ciphertexts', second(armor(Buffer.concat([packets, packets]))), /data after/],
    ['cut off', second(armor(packets.subarray(0, -1))), /cut off/],
    ['too long', second(armor(Buffer.concat([packets, Buffer.from('hello')]))), /data after/],
  ];
  for (const [name, message, reason] of cases) {
    for (const direction of ['outgoing', 'incoming'] as const) {
      const judged = check(message, direction);
      assert.ok(!judged.encrypted, `${name}, ${direction}`);
      assert.match(judged.why, reason, name);
    }
  }
});

test('no line of text can be put into encrypted mail, and none that is cut off is encrypted', () => {
  const message = mail({ headers: ['X: y'] });
  const { size } = parseHeader(message);
  const text = message.toString('latin1');
  for (let at = text.indexOf('\r\n', size); at >= 0; at = text.indexOf('\r\n', at + 2)) {
    const changed = Buffer.from(`${text.slice(0, at)}\r\nhello, this is text${text.slice(at)}`, 'latin1');
    assert.equal(check(changed, 'outgoing').encrypted, false, `a line of text at ${at}`);
  }
  for (let end = 0; end < text.lastIndexOf('--'); end++) {
    assert.equal(check(message.subarray(0, end), 'incoming').encrypted, false, `cut off at ${end}`);
  }
});
