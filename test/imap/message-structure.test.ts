import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bodyStructureOf, envelopeOf, parseParts } from '../../src/imap/message-structure.ts';
import type { Part } from '../../src/imap/message-structure.ts';
import { MAX_CANDIDATES } from '../../src/imap/structure/delimiters.ts';
import { MAX_DEPTH, MAX_HEADER_LINES, MAX_PARTS } from '../../src/imap/structure/parts.ts';
import { parseHeader } from '../../src/message/header.ts';
import { readValue } from '../harness/imap-reader.ts';
import type { ReadValue } from '../harness/imap-reader.ts';
import { assertLinear } from '../harness/linear.ts';

/** Lines with `\n`, as bytes with CRLF. */
const mail = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');

function structure(message: Buffer, extended = true): Promise<ReadValue> {
  return readValue(bodyStructureOf(message, parseParts(message), extended));
}

test('an envelope has its ten values, those of From where others are missing', async () => {
  const message = mail(
    'Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\nSubject: =?utf-8?q?a?=\n "quoted"\nFrom: Terry <t@cac.example>\nReply-To:\n' +
      'To: "hidden-recipients": ;\nCc: minutes@x, John <john@mit.example>\nIn-Reply-To: <1@x>\nMessage-ID: <B@cac>\nSubject: second\n\n',
  );
  const terry = [['Terry', null, 't', 'cac.example']];
  assert.deepEqual(await readValue(envelopeOf(parseHeader(message))), [
    'Wed, 17 Jul 1996 02:23:25 -0700 (PDT)',
    '=?utf-8?q?a?= "quoted"',
    terry,
    terry,
    terry,
    [
      [null, null, 'hidden-recipients', null],
      [null, null, null, null],
    ],
    [
      [null, null, 'minutes', 'x'],
      ['John', null, 'john', 'mit.example'],
    ],
    null,
    '<1@x>',
    '<B@cac>',
  ]);
  assert.equal(envelopeOf(parseHeader(mail('\n'))).toString(), `(${Array(10).fill('NIL').join(' ')})`);
  // 8-bit octets go as a literal, byte for byte.
  assert.match(
    envelopeOf(parseHeader(mail('Subject: \xe9\n\n'))).toString('latin1'),
    /^\(NIL \{1\}\r\n\xe9 NIL/,
  );
});

const plain = (size: number, lines: number) => [
  'text',
  'plain',
  ['charset', 'us-ascii'],
  null,
  null,
  '7bit',
  String(size),
  String(lines),
];
/** md5, disposition, language, location. */
const end1 = [null, null, null, null];
/** parameters are before these: disposition, language, location. */
const endMulti = [null, null, null];
const noEnvelope = Array<null>(10).fill(null);

const shapes: readonly (readonly [what: string, message: string, structure: ReadValue])[] = [
  ['plain text', 'Subject: x\n\nline 1\nline 2\n', [...plain(16, 2), ...end1]],
  ['nothing at all', '', [...plain(0, 0), ...end1]],
  ['a header alone', 'Subject: x\n', [...plain(0, 0), ...end1]],
  ['a body alone', '\nabc', [...plain(3, 0), ...end1]],
  [
    'all fields of a part',
    'Content-Type: Image/PNG; name="a \\"b\\".png"; x=y\nContent-ID: <i@x>\nContent-Description: my cat\nContent-Transfer-Encoding: BASE64 (x)\n' +
      'Content-MD5: abc==\nContent-Disposition: Attachment; filename=cat.png\nContent-Language: de, en\nContent-Location: http://x/\n\nAAAA\n',
    [
      'image',
      'png',
      ['name', 'a "b".png', 'x', 'y'],
      '<i@x>',
      'my cat',
      'BASE64',
      '6',
      'abc==',
      ['attachment', ['filename', 'cat.png']],
      ['de', 'en'],
      'http://x/',
    ],
  ],
  [
    'an encrypted message as Delta Chat sends it',
    'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\n\tboundary="b"\n\n\n--b\nContent-Type: application/pgp-encrypted; charset="utf-8"\n' +
      'Content-Transfer-Encoding: 7bit\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream; charset="utf-8"\n\n-----BEGIN-----\n\n--b--\n',
    [
      ['application', 'pgp-encrypted', ['charset', 'utf-8'], null, null, '7bit', '12', ...end1],
      ['application', 'octet-stream', ['charset', 'utf-8'], null, null, '7bit', '17', ...end1],
      'encrypted',
      ['protocol', 'application/pgp-encrypted', 'boundary', 'b'],
      ...endMulti,
    ],
  ],
  [
    'multiparts within each other, preambles and epilogues left out',
    'Content-Type: multipart/mixed; boundary=o\n\npreamble\n--o\nContent-Type: multipart/alternative; boundary="i"\n\npre\n--i\n\na\n--i  \nContent-Type: text/html\n\n<b>\n\n--i--\nepilogue\n--o\n\nlast\n--o--\nepilogue\n--o\nnot a part\n',
    [
      [
        [...plain(1, 0), ...end1],
        ['text', 'html', null, null, null, '7bit', '5', '1', ...end1],
        'alternative',
        ['boundary', 'i'],
        ...endMulti,
      ],
      [...plain(4, 0), ...end1],
      'mixed',
      ['boundary', 'o'],
      ...endMulti,
    ],
  ],
  [
    'a message within',
    'Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n\nSubject: inner\nFrom: a@b\n\ntext\n--o--\n',
    [
      [
        'message',
        'rfc822',
        null,
        null,
        null,
        '7bit',
        '33',
        [null, 'inner', ...Array<ReadValue>(3).fill([[null, null, 'a', 'b']]), null, null, null, null, null],
        [...plain(4, 0), ...end1],
        '3',
        ...end1,
      ],
      'mixed',
      ['boundary', 'o'],
      ...endMulti,
    ],
  ],
  [
    'a message within a message within a message',
    'Content-Type: message/rfc822\n\nContent-Type: message/global\n\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x--',
    [
      'message',
      'rfc822',
      null,
      null,
      null,
      '7bit',
      '92',
      noEnvelope,
      [
        'message',
        'global',
        null,
        null,
        null,
        '7bit',
        '60',
        noEnvelope,
        [[...plain(1, 0), ...end1], 'mixed', ['boundary', 'x'], ...endMulti],
        '5',
        ...end1,
      ],
      '7',
      ...end1,
    ],
  ],
  [
    'a digest, whose parts are messages unless they say otherwise',
    'Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\nx\n--d\nContent-Type: text/plain\n\ny\n--d--\n',
    [
      [
        'message',
        'rfc822',
        null,
        null,
        null,
        '7bit',
        '17',
        [null, 'one', ...Array<null>(8).fill(null)],
        [...plain(1, 0), ...end1],
        '2',
        ...end1,
      ],
      ['text', 'plain', null, null, null, '7bit', '1', '0', ...end1],
      'digest',
      ['boundary', 'd'],
      ...endMulti,
    ],
  ],
  [
    'a multipart that does not end',
    'Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n',
    [[...plain(3, 0), ...end1], [...plain(5, 1), ...end1], 'mixed', ['boundary', 'b'], ...endMulti],
  ],
  [
    'an inner multipart that does not end before the outer one goes on',
    'Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=oo\n\n--oo\n\na\n--o\n\nb\n--o--',
    [
      [[...plain(1, 0), ...end1], 'mixed', ['boundary', 'oo'], ...endMulti],
      [...plain(1, 0), ...end1],
      'mixed',
      ['boundary', 'o'],
      ...endMulti,
    ],
  ],
  [
    'a multipart without parts has an empty one',
    'Content-Type: multipart/mixed; boundary=b\n\nnothing\n',
    [[...plain(0, 0), ...end1], 'mixed', ['boundary', 'b'], ...endMulti],
  ],
  [
    'a multipart without a boundary is text',
    'Content-Type: multipart/mixed\n\nabc\n',
    [...plain(5, 1), ...end1],
  ],
  ['a content type that cannot be read is text', 'Content-Type: ???\n\nabc\n', [...plain(5, 1), ...end1]],
  [
    'parts without a header, an empty line or a body',
    'Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\nContent-Type: text/html\n--b\nContent-Type: text/css\n\n--b--',
    [
      [...plain(0, 0), ...end1],
      [...plain(0, 0), ...end1],
      ['text', 'html', null, null, null, '7bit', '0', '0', ...end1],
      ['text', 'css', null, null, null, '7bit', '0', '0', ...end1],
      'mixed',
      ['boundary', 'b'],
      ...endMulti,
    ],
  ],
  [
    'a boundary of regular expression signs and blanks, in lines that are only alike',
    'Content-Type: multipart/mixed; boundary="a.*(b) c"\n\n--a.*(b) cx\n--a.*(b) c\n\n--axx(b) c\n --a.*(b) c\n--a.*(b) c--\n',
    [[...plain(23, 1), ...end1], 'mixed', ['boundary', 'a.*(b) c'], ...endMulti],
  ],
];

for (const [what, message, expected] of shapes) {
  test(`BODYSTRUCTURE: ${what}`, async () => assert.deepEqual(await structure(mail(message)), expected));
}

test('the same shapes with bare line feeds have the same parts', async () => {
  const types = (part: Part): unknown =>
    part.children.length > 0
      ? part.children.map(types)
      : [part.contentType.subtype, part.message && types(part.message)];
  for (const [what, message] of shapes)
    assert.deepEqual(
      types(parseParts(Buffer.from(message, 'latin1'))),
      types(parseParts(mail(message))),
      what,
    );
});

test('BODY is BODYSTRUCTURE without its extensions', async () => {
  const message = mail('Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-MD5: x\n\none\n--b--\n');
  assert.deepEqual(await structure(message, false), [plain(3, 0), 'mixed']);
});

test('parts and depth are bounded', () => {
  const wide = mail(
    `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(MAX_PARTS + 50)}--b--\n`,
  );
  assert.equal(parseParts(wide).children.length, MAX_PARTS - 1);

  const nested = (levels: number) =>
    mail(
      Array.from(
        { length: levels },
        (_, at) => `Content-Type: multipart/mixed; boundary=b${String(at)}\n\n--b${String(at)}\n`,
      ).join(''),
    );
  const messages = (levels: number) => mail('Content-Type: message/rfc822\n\n'.repeat(levels));
  for (const message of [nested(500), messages(500)]) {
    let depth = 1;
    let part = parseParts(message);
    for (; ; depth += 1) {
      const inner = part.children[0] ?? part.message;
      if (!inner) break;
      part = inner;
    }
    assert.equal(depth, MAX_DEPTH);
    assert.equal(part.contentType.subtype, 'octet-stream');
  }
});

test('a message made of lines that are nearly delimiters, or of header lines, is not read to its end', () => {
  const head = 'Content-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\n\n';
  const near = mail(`${head}${'--bx\n'.repeat(MAX_CANDIDATES)}--b\n\nnever found\n--b--\n`);
  assert.equal(parseParts(near).children.length, 2);
  const lines = mail(
    `${head.slice(0, -1)}${'a\n'.repeat(MAX_HEADER_LINES)}\n--b\nContent-Type: text/html\n\nlast\n--b--\n`,
  );
  const { children } = parseParts(lines);
  assert.deepEqual(
    children.map((part) => [part.contentType.subtype, part.body === part.start]),
    [
      ['plain', false],
      // Its header used the lines up.
      ['plain', true],
      ['plain', true],
    ],
  );
});

test('every structure of real Delta Chat mail reads back, and its parts are where the bytes are', async () => {
  const folder = new URL('../data/delta-chat-mail/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.eml'));
  assert.ok(names.length >= 10);
  for (const name of names) {
    const message = readFileSync(new URL(name, folder));
    const root = parseParts(message);
    assert.ok(Array.isArray(await structure(message)), name);
    assert.equal(root.end, message.length);
    for (const part of root.children) {
      assert.ok(message.toString('latin1', part.body, part.end).length > 0, name);
      assert.match(message.toString('latin1', part.end, part.end + 4), /^\r?\n--/, name);
    }
  }
});

test('messages made to be slow cost linear time', () => {
  const makers: readonly ((size: number) => Buffer)[] = [
    // Fifty open multiparts, and lines that nearly end them.
    (size) => {
      const head = Array.from(
        { length: 48 },
        (_, at) => `Content-Type: multipart/mixed; boundary=b${String(at)}\n\n--b${String(at)}\n`,
      );
      return mail(head.join('') + '\n' + '--b1x\n'.repeat(size / 7));
    },
    (size) => mail('Content-Type: message/rfc822\n\n'.repeat(40) + '\n' + 'x\n'.repeat(size / 3)),
    (size) => mail('\n'.repeat(size / 2)),
    (size) => mail('a\n'.repeat(size / 3)),
    (size) => mail('A: b\n'.repeat(size / 6)),
    (size) => mail(`Content-Type: multipart/mixed; boundary=b\n\n${'--b\n'.repeat(size / 5)}`),
    (size) =>
      mail(`Content-Type: multipart/mixed; boundary=b\n\n${`--b${' '.repeat(250)}\n`.repeat(size / 255)}`),
    (size) => mail(`Content-Type: text/plain${'; a=b'.repeat(size / 5)}\n\n`),
    (size) => mail(`To: ${'a@b, '.repeat(size / 5)}\n\n`),
  ];
  for (const [at, make] of makers.entries()) {
    assertLinear(`message ${String(at)}`, 60_000, make, (message) => {
      const root = parseParts(message);
      bodyStructureOf(message, root, true);
      envelopeOf(root.header);
    });
  }
});
