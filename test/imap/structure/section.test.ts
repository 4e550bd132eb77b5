import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bytesOfSection,
  clipRange,
  locateSection,
  needsOfSection,
  parseParts,
} from '../../../src/imap/message-structure.ts';
import { parseCommand } from '../../../src/imap/wire/parse-command.ts';
import type { Section } from '../../../src/imap/wire/command.ts';
import { parseHeader } from '../../../src/message/header.ts';

const mail = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');

/** As a client names it. */
function section(name: string): Section {
  const parsed = parseCommand([Buffer.from(`a FETCH 1 BODY[${name}]`)]);
  assert.ok('command' in parsed && parsed.command.name === 'FETCH', name);
  const [item] = parsed.command.items;
  assert.ok(item?.kind === 'SECTION');
  return item.section;
}

/** What the section holds, with `\n`; undefined for NIL. Only what it says it needs is given. */
function get(message: Buffer, name: string): string | undefined {
  const wanted = section(name);
  const needs = needsOfSection(wanted);
  const { size: headerSize } = parseHeader(message);
  const located = locateSection(wanted, {
    size: message.length,
    headerSize,
    ...(needs === 'header' && { header: message.subarray(0, headerSize) }),
    ...(needs === 'parts' && { parts: parseParts(message) }),
  });
  if (!located) return undefined;
  const bytes = bytesOfSection(located, message);
  assert.equal(bytes.length, located.size, name);
  return bytes.toString('latin1').replaceAll('\r\n', '\n');
}

/** The example of RFC 9051 6.4.5.1, filled in. */
const example = mail(
  'From: a@b\nTo: c@d,\n e@f\nSUBJECT: top\nContent-Type: multipart/mixed; boundary=m\n\npreamble\n--m\n\none\n--m\n' +
    'Content-Type: application/octet-stream\nContent-ID: <2>\n\ntwo\n--m\nContent-Type: message/rfc822\n\nSubject: inner\nFrom: x@y\n' +
    'Content-Type: multipart/mixed; boundary=i\n\n--i\n\nthree one\n--i\nX: y\n\nthree two\n--i--\n--m\nContent-Type: multipart/mixed; boundary=n\n\n' +
    '--n\nContent-Type: image/gif\n\nfour one\n--n\nContent-Type: message/rfc822\n\nSubject: text\n\nfour two\n--n--\n--m--\nepilogue\n',
);

test('sections of the message itself', () => {
  const text = example.toString('latin1').replaceAll('\r\n', '\n');
  const header = text.slice(0, text.indexOf('\n\n') + 2);
  assert.equal(get(example, ''), text);
  assert.equal(get(example, 'HEADER'), header);
  assert.equal(get(example, 'TEXT'), text.slice(header.length));
  assert.equal(get(example, 'HEADER.FIELDS (subject TO nothing)'), 'To: c@d,\n e@f\nSUBJECT: top\n\n');
  assert.equal(get(example, 'HEADER.FIELDS (nothing)'), '\n');
  assert.equal(get(example, 'HEADER.FIELDS.NOT (To Content-Type)'), 'From: a@b\nSUBJECT: top\n\n');
});

test('sections of parts, as in the example of RFC 9051', () => {
  const inner = 'Subject: inner\nFrom: x@y\nContent-Type: multipart/mixed; boundary=i\n\n';
  const innerText = '--i\n\nthree one\n--i\nX: y\n\nthree two\n--i--';
  for (const [name, expected] of [
    ['1', 'one'],
    ['1.MIME', '\n'],
    ['2', 'two'],
    ['2.MIME', 'Content-Type: application/octet-stream\nContent-ID: <2>\n\n'],
    ['3', inner + innerText],
    ['3.MIME', 'Content-Type: message/rfc822\n\n'],
    ['3.HEADER', inner],
    ['3.HEADER.FIELDS (From)', 'From: x@y\n\n'],
    ['3.HEADER.FIELDS.NOT (content-type subject)', 'From: x@y\n\n'],
    ['3.TEXT', innerText],
    ['3.1', 'three one'],
    ['3.2', 'three two'],
    ['3.2.MIME', 'X: y\n\n'],
    ['4.1', 'four one'],
    ['4.1.MIME', 'Content-Type: image/gif\n\n'],
    ['4.2', 'Subject: text\n\nfour two'],
    ['4.2.HEADER', 'Subject: text\n\n'],
    ['4.2.TEXT', 'four two'],
    ['4.2.1', 'four two'],
    ['4.2.1.MIME', 'Subject: text\n\n'],
  ] as const)
    assert.equal(get(example, name), expected, name);
});

test('what is not there is NIL', () => {
  for (const name of [
    '5',
    '1.1',
    '1.HEADER',
    '1.TEXT',
    '2.HEADER.FIELDS (x)',
    '3.3',
    '3.1.1',
    '4.HEADER',
    '4.3',
    '4.2.2',
    '4.2.1.1',
    '999999999',
  ])
    assert.equal(get(example, name), undefined, name);
});

test('a message that is no multipart has part 1', () => {
  const message = mail('Subject: x\n\nbody\n');
  assert.equal(get(message, '1'), 'body\n');
  assert.equal(get(message, '1.MIME'), 'Subject: x\n\n');
  assert.equal(get(message, '2'), undefined);
  assert.equal(get(message, '1.1'), undefined);
  const forwarded = mail('Content-Type: message/rfc822\n\nSubject: y\n\nin\n');
  assert.equal(get(forwarded, '1'), 'Subject: y\n\nin\n');
  assert.equal(get(forwarded, '1.HEADER'), 'Subject: y\n\n');
  assert.equal(get(forwarded, '1.1'), 'in\n');
});

test('a message without an empty line is all header', () => {
  const message = mail('Subject: x\nTo: y\n');
  assert.equal(get(message, 'TEXT'), '');
  assert.equal(get(message, 'HEADER.FIELDS (To)'), 'To: y\n\n');
  assert.equal(get(message, '1'), '');
});

test('without what it needs a section is NIL, and what it needs is little', () => {
  assert.deepEqual(
    ['', 'TEXT', 'HEADER', 'HEADER.FIELDS (a)', 'HEADER.FIELDS.NOT (a)', '1', '1.HEADER'].map((name) =>
      needsOfSection(section(name)),
    ),
    ['sizes', 'sizes', 'sizes', 'header', 'header', 'parts', 'parts'],
  );
  assert.equal(locateSection(section('1'), { size: 10, headerSize: 5 }), undefined);
  assert.equal(locateSection(section('HEADER.FIELDS (a)'), { size: 10, headerSize: 5 }), undefined);
});

test('a partial is clipped at the end', () => {
  const range = { start: 10, end: 20 };
  assert.deepEqual(clipRange(range, { start: 0, length: 5 }), { start: 10, end: 15 });
  assert.deepEqual(clipRange(range, { start: 8, length: 5 }), { start: 18, end: 20 });
  assert.deepEqual(clipRange(range, { start: 10, length: 5 }), { start: 20, end: 20 });
  assert.deepEqual(clipRange(range, { start: 2 ** 48, length: 2 ** 48 }), { start: 20, end: 20 });
});
