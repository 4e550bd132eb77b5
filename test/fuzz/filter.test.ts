import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isEncrypted } from '../../src/filter/encrypted.ts';
import { isSecureJoinRequest } from '../../src/filter/exceptions.ts';
import { judgeIncoming, judgeOutgoing } from '../../src/filter/judge.ts';
import { cleanDelivery, cleanSubmission } from '../../src/filter/privacy.ts';
import { parseHeader } from '../../src/message/header.ts';
import {
  armor,
  BOUNDARY,
  controlPart,
  dataPart,
  encryptedPackets,
  mail,
  secureJoinRequest,
} from '../harness/encrypted-mail.ts';

const sound = mail().toString('latin1');

/** Offsets where the header, or the header of a part, ends and text must not stand. */
function isInHeader(at: number): boolean {
  const headerEnd = sound.indexOf('\r\n\r\n');
  if (at <= headerEnd) return true;
  const parts = [controlPart, dataPart()].map((part) => sound.indexOf(part));
  return parts.some((start) => at >= start && at <= sound.indexOf('\r\n\r\n', start));
}

test('text can be put nowhere into the body of encrypted mail', () => {
  const text = fc.constantFrom(
    'hello, you there',
    '\r\nhello, you there\r\n',
    '\r\n\r\nhello: you\r\n\r\n',
    '=hello you',
    '--hello',
  );
  fc.assert(
    fc.property(fc.nat(sound.length), text, (at, inserted) => {
      const message = Buffer.from(sound.slice(0, at) + inserted + sound.slice(at), 'latin1');
      if (isEncrypted(message, parseHeader(message), 'outgoing').encrypted) {
        assert.ok(isInHeader(at), `${JSON.stringify(inserted)} at ${at} of the body`);
      }
    }),
    { numRuns: 5000 },
  );
});

test('no bytes whatever make the filter throw, nor its edits lose a byte of the body', () => {
  const seeds = [mail(), secureJoinRequest()].map((message) => message.toString('latin1'));
  const pieces = [
    '\r\n',
    '\r\n\r\n',
    ' ',
    ':',
    '=',
    `--${BOUNDARY}`,
    '--',
    '"',
    'From: <b@c>\r\n',
    '\0',
    '\xff',
    '-----END PGP MESSAGE-----',
  ];
  const edit = fc.record({ at: fc.nat(2000), cut: fc.nat(30), put: fc.constantFrom('', ...pieces) });
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 4 }), (seed, edits) => {
      let text = seed;
      for (const { at, cut, put } of edits) text = text.slice(0, at) + put + text.slice(at + cut);
      const message = Buffer.from(text, 'latin1');
      const header = parseHeader(message);
      judgeIncoming({ message, header, acceptsCleartext: [] });
      const judged = judgeOutgoing({ message, header, sender: 'alice@chat.test', recipients: ['b@c'] });
      if (judged.ok) assert.equal(judged.author.address, 'alice@chat.test');
      for (const clean of [cleanSubmission, cleanDelivery]) {
        const cleaned = clean(message, header);
        const body = message.subarray(header.size);
        assert.ok(cleaned.subarray(cleaned.length - body.length).equals(body));
        assert.equal(
          clean(cleaned, parseHeader(cleaned)).equals(cleaned),
          true,
          'a second time changes nothing',
        );
      }
    }),
    { numRuns: 3000 },
  );
});

/** A hundred times what it takes on a slow machine, a thousandth of what quadratic work would take. */
const LIMIT_MS = 4000;
const SIZE = 4_000_000;

test('no message of megabytes takes more than linear time', () => {
  const of = (text: string, size = SIZE) => text.repeat(Math.ceil(size / text.length));
  const type = `Content-Type: multipart/encrypted; boundary="${BOUNDARY}"`;
  const octets = 'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: ';
  const data = (body: string, encoding = '7bit') =>
    mail({ parts: [controlPart, dataPart(body, octets + encoding)] });
  const packets = encryptedPackets();
  const cases: readonly (readonly [string, Buffer])[] = [
    ['ciphertext', data(armor(encryptedPackets(SIZE)))],
    [
      'ciphertext in lines of one group',
      data(armor(packets.subarray(0, 30), { checksum: '' }).replace('\r\n\r\n', `\r\n\r\n${of('zsxx\r\n')}`)),
    ],
    ['session keys of nothing', data(armor(Buffer.alloc(SIZE, Buffer.from([0xc1, 0]))))],
    [
      'partial chunks of one byte',
      data(
        armor(
          Buffer.concat([Buffer.from([0xc1, 0, 0xd2, 0xe9]), Buffer.alloc(512), Buffer.alloc(SIZE, 0xe0)]),
        ),
      ),
    ],
    ['base64 of blanks', data(of('\r\n'), 'base64')],
    ['quoted-printable', data(of('=3D=\r\n'), 'quoted-printable')],
    ['blank armor', data(`-----BEGIN PGP MESSAGE-----\r\n${of('\r\n')}`)],
    ['ends of armor', data(`-----BEGIN PGP MESSAGE-----\r\n${of('-----END PGP MESSAGE-----')}`)],
    ['equals signs', data(`-----BEGIN PGP MESSAGE-----\r\n\r\n${of('=\r\n')}-----END PGP MESSAGE-----`)],
    ['blank preamble', mail({ preamble: of(' \r\n') })],
    ['boundaries within lines', mail({ preamble: of(` --${BOUNDARY}`) })],
    ['near boundaries', mail({ preamble: of(`\r\n--${BOUNDARY.slice(0, -1)}`) })],
    ['boundaries', mail({ parts: new Array<string>(SIZE / 100).fill('') })],
    ['boundaries after the end', mail({ ending: `--${BOUNDARY}--\r\n${of(` --${BOUNDARY}`)}` })],
    ['padding of a boundary', mail({ ending: `--${BOUNDARY}--${of(' ')}` })],
    [
      'hyphens',
      mail({
        contentType: `Content-Type: multipart/encrypted; boundary=${'-'.repeat(69)}x`,
        preamble: of('-'),
      }),
    ],
    ['header fields', Buffer.from(of('A: b\r\n'))],
    ['folds', Buffer.from(`A:${of('\r\n ')}`)],
    ['one long field', Buffer.from(`From: ${of('a')}`)],
    ['field names', Buffer.from(of('a'))],
    ['blanks in a name', Buffer.from(`From${of(' ')}`)],
    ['empty lines', Buffer.from(of('\n'))],
    ['carriage returns', Buffer.from(of('\r'))],
    ['blanks in Subject', mail({ headers: [`Subject: a${of(' ', 400_000)}a`] })],
    ['parameters', mail({ contentType: type + of(';a=b', 400_000) })],
    ['quotes in a type', mail({ contentType: type + of(';a="\\"', 400_000) })],
    ['comments in a type', mail({ contentType: type + of('(', 400_000) })],
    ['semicolons and comments', mail({ contentType: type + of(';(', 400_000) })],
    ['commented parameters', mail({ contentType: type + of(';a (x)', 400_000) })],
    ['comments in From', mail({ from: of('(a)', 400_000) })],
    ['open comments in From', mail({ from: of('(', 400_000) })],
    ['words in From', mail({ from: of('a ', 400_000) })],
    ['quotes in From', mail({ from: of('""', 400_000) })],
    ['dots in From', mail({ from: `${of('a.', 400_000)}a@b` })],
    ['labels in From', mail({ from: `a@${of('b.', 400_000)}b` })],
    ['quoted backslashes in From', mail({ from: `"${of('\\\\', 400_000)}"@b` })],
    ['literal in From', mail({ from: `a@[${of('1', 400_000)}]` })],
    ['blanks in a secure join', secureJoinRequest({ text: of(' ') })],
    ['preamble of a secure join', secureJoinRequest({ preamble: of('\r\n') })],
  ];
  for (const [name, message] of cases) {
    const started = performance.now();
    const header = parseHeader(message);
    judgeOutgoing({ message, header, sender: 'alice@chat.test', recipients: ['bob@chat.test'] });
    isEncrypted(message, header, 'incoming');
    isSecureJoinRequest(message, header);
    cleanSubmission(message, header);
    const took = performance.now() - started;
    assert.ok(took < LIMIT_MS, `${name}: ${Math.round(took)} ms for ${message.length} bytes`);
    if (process.env['TEAL_SHOW_TIMES']) console.log(`${name}: ${Math.round(took)} ms`);
  }
});
