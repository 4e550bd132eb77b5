import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressOfFrom, parseMailbox } from '../../src/message/address.ts';
import { decodeBase64 } from '../../src/message/base64.ts';
import { parameterOf, parseContentType, parseDisposition } from '../../src/message/content-type.ts';
import { parseHeader, withoutFields } from '../../src/message/header.ts';
import { splitMultipart } from '../../src/message/multipart.ts';
import { createPacketWalk } from '../../src/message/openpgp.ts';
import { decodeStrictly } from '../../src/message/transfer-encoding.ts';
import { packet } from '../harness/encrypted-mail.ts';

/** Text of pieces that mean something to the parser, mixed with a few that mean nothing. */
const textOf = (...pieces: string[]) =>
  fc.array(fc.constantFrom(...pieces, 'a', ' ', '\xe9', '\0'), { maxLength: 40 }).map((all) => all.join(''));
const latin1 = (text: string) => Buffer.from(text, 'latin1');

test('a header is cut into fields that lie in order, and what is taken out is gone', () => {
  const headers = textOf(
    'From',
    'To:',
    ': ',
    '\r\n',
    '\r\n ',
    '\n',
    '\r',
    '\t',
    'Subject: x\r\n',
    'subject:',
    '\r\n\r\n',
  );
  fc.assert(
    fc.property(headers, (text) => {
      const message = latin1(text);
      const header = parseHeader(message);
      assert.ok(header.size <= message.length);
      let at = 0;
      let left = '';
      for (const field of header.fields) {
        assert.ok(field.start >= at && field.end > field.start && field.end <= header.size);
        assert.equal(field.key, field.name.toLowerCase());
        assert.ok(message.toString('latin1', field.start, field.end).startsWith(field.name));
        assert.doesNotMatch(field.value, /\n|^[ \t]|[ \t]$/);
        if (field.key === 'subject') {
          left += text.slice(at, field.start);
          at = field.end;
        }
      }
      const edited = withoutFields(message, header, new Set(['subject']));
      assert.equal(edited.toString('latin1'), left + text.slice(at));
      if (header.malformed === undefined) {
        assert.deepEqual(
          parseHeader(edited).fields.map((field) => field.name),
          header.fields.filter((field) => field.key !== 'subject').map((field) => field.name),
        );
      }
    }),
    { numRuns: 2000 },
  );
});

test('no address, type or disposition throws, and what is read as an address is one', () => {
  const pieces = [
    '@',
    '<',
    '>',
    '(',
    ')',
    '"',
    '\\',
    ',',
    ':',
    ';',
    '.',
    '[',
    ']',
    'b.test',
    '192.0.2.1',
    'IPv6:::1',
    '=?',
    '=',
  ];
  fc.assert(
    fc.property(textOf(...pieces), (text) => {
      const mailbox = parseMailbox(text);
      if (mailbox) assert.deepEqual(parseMailbox(`${mailbox.local}@${mailbox.domain}`), mailbox);
      const author = addressOfFrom(parseHeader(latin1(`From: ${text}\r\n\r\n`)));
      if ('address' in author) {
        assert.equal(author.address, author.address.toLowerCase());
        const again = parseMailbox(author.address);
        assert.equal(again && `${again.local}@${again.domain}`, author.address);
        assert.match(author.address, /^[\x20-\x7e]+$/);
      }
      for (const parsed of [parseContentType(`a/b;${text}`), parseDisposition(text)]) {
        for (const { name } of parsed?.parameters ?? []) assert.notEqual(name, '');
      }
      parseContentType(text);
    }),
    { numRuns: 5000 },
  );
});

test('any address can be told by a display name in quotes, and any value by a quoted parameter', () => {
  const printable = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  fc.assert(
    fc.property(printable, (text) => {
      const quoted = `"${text.replace(/["\\]/g, '\\$&')}"`;
      const author = addressOfFrom(parseHeader(latin1(`From: ${quoted} <a@b.test>\r\n\r\n`)));
      assert.equal('address' in author && author.address, 'a@b.test');
      const parsed = parseContentType(`x/y; z=${quoted}; v=w`);
      assert.equal(parsed && parameterOf(parsed, 'z'), text);
      assert.equal(parsed && parameterOf(parsed, 'v'), 'w');
      assert.equal(parsed?.problem, undefined);
    }),
  );
});

test('base64 is taken when, and only when, encoding the bytes gives the text back', () => {
  fc.assert(
    fc.property(textOf('A', 'Q', '/', '+', '=', '==', '\r\n', 'AAAA', '\n', '-'), (text) => {
      const slices: Buffer[] = [];
      const end = decodeBase64(latin1(text), 0, text.length, (slice) => slices.push(Buffer.from(slice)));
      const bare = text.replaceAll('\r\n', '');
      const bytes = Buffer.from(bare, 'base64');
      const sound = bytes.toString('base64') === bare && !/=\r\n=/.test(text);
      assert.equal(end === text.length, sound, JSON.stringify(text));
      if (sound) assert.ok(Buffer.concat(slices).equals(bytes));
    }),
    { numRuns: 5000 },
  );
});

test('quoted-printable that is taken means one thing', () => {
  fc.assert(
    fc.property(textOf('=', '=3D', '=\r\n', '\r\n', '\n', '\t', '=e9'), (text) => {
      const decoded = decodeStrictly(latin1(text), 'quoted-printable')?.toString('latin1');
      if (decoded === undefined) return;
      const lenient = text
        .replace(/=\r\n/g, '')
        .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
      assert.equal(decoded, lenient);
    }),
    { numRuns: 2000 },
  );
});

test('parts lie in order within the message, and any reader finds the boundaries between them', () => {
  fc.assert(
    fc.property(
      textOf('--b', '--b--', '--', '\r\n', '\n', '--b\r\n', '\r\n--b', '\r\n--b--\r\n', 'b'),
      (text) => {
        const multipart = splitMultipart(latin1(text), 0, 'b', 5);
        if ('problem' in multipart) return;
        const { preamble, parts, epilogue } = multipart;
        let at = 0;
        for (const { start, end } of [preamble, ...parts, epilogue]) {
          assert.ok(start >= at && end >= start && end <= text.length);
          assert.doesNotMatch(text.slice(start, end), /(?:^|[\r\n])--b/);
          at = end;
        }
      },
    ),
    { numRuns: 5000 },
  );
});

test('packets are judged by their types alone, however the bytes are cut', () => {
  const type = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(1, 3, 18) }, fc.integer({ min: 0, max: 63 }));
  const packets = fc.array(fc.record({ type, size: fc.integer({ min: 0, max: 9000 }) }), { maxLength: 6 });
  fc.assert(
    fc.property(packets, fc.integer({ min: 1, max: 700 }), (described, sliceSize) => {
      const bytes = Buffer.concat(described.map(({ type, size }) => packet(type, Buffer.alloc(size, 0xd2))));
      const walk = createPacketWalk();
      for (let at = 0; at < bytes.length; at += sliceSize) walk.write(bytes.subarray(at, at + sliceSize));
      const types = described.map((each) =>
        each.type === 1 || each.type === 3 ? 'k' : each.type === 18 ? 'e' : 'x',
      );
      assert.equal(walk.finish() === undefined, /^k+e$/.test(types.join('')));
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const walk = createPacketWalk();
      walk.write(Buffer.from(bytes));
      walk.finish();
    }),
  );
});
