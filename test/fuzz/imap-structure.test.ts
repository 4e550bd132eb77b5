import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bodyStructureOf,
  bytesOfSection,
  envelopeOf,
  locateSection,
  parseParts,
} from '../../src/imap/message-structure.ts';
import type { Part } from '../../src/imap/message-structure.ts';
import { parseAddresses } from '../../src/imap/structure/addresses.ts';
import { readValue } from '../harness/imap-reader.ts';

/** Lines that MIME is made of, in any order: boundaries within boundaries, heads without bodies, and so on. */
const line = fc.oneof(
  fc.constantFrom(
    '',
    'text',
    '--a',
    '--a--',
    '--b',
    '--b--',
    '--a \t',
    '--',
    'Content-Type: multipart/mixed; boundary=a',
    'Content-Type: multipart/alternative; boundary="b"',
    'Content-Type: multipart/digest; boundary=b',
    'Content-Type: multipart/mixed',
    'Content-Type: message/rfc822',
    'Content-Type: text/html; charset="u\\"8"; name=\xe9',
    'Content-Type: x',
    'Content-Transfer-Encoding: "',
    'Content-Disposition: attachment; filename="a (b"',
    'Content-Language: a,,b "c"',
    'Content-ID: <x>',
    'Subject: =?a?= "q" \\ (c',
    'From: "A" <a@b>, c (d',
    'To: g: a@b;;',
    ' folded',
  ),
  fc
    .string({ unit: 'binary', maxLength: 12 })
    .map((text) => Buffer.from(text).toString('latin1').replace(/\0/g, '')),
);
const message = fc
  .tuple(fc.array(line, { maxLength: 30 }), fc.constantFrom('\r\n', '\n'))
  .map(([lines, end]) => Buffer.from(lines.join(end), 'latin1'));

function check(part: Part, from: number, to: number): void {
  assert.ok(from <= part.start && part.start <= part.body && part.body <= part.end && part.end <= to);
  let at = part.body;
  for (const child of part.children) {
    check(child, at, part.end);
    at = child.end;
  }
  if (part.message) check(part.message, part.body, part.end);
}

test('parts lie within each other and in order, whatever the message', () => {
  fc.assert(
    fc.property(message, (bytes) => {
      const root = parseParts(bytes);
      check(root, 0, bytes.length);
      assert.equal(root.end, bytes.length);
    }),
    { numRuns: 3000 },
  );
});

test('every structure and envelope is read by imapflow, and has its parts', async () => {
  await fc.assert(
    fc.asyncProperty(message, async (bytes) => {
      const root = parseParts(bytes);
      const value = await readValue(bodyStructureOf(bytes, root, true));
      assert.ok(Array.isArray(value));
      // A multipart begins with its parts, anything else with its type.
      const parts = value.findIndex((item) => typeof item === 'string');
      assert.equal(parts, root.children.length);
      assert.equal(value[parts], parts > 0 ? root.contentType.subtype : root.contentType.type);
      await readValue(bodyStructureOf(bytes, root, false));
      const envelope = await readValue(envelopeOf(root.header));
      assert.ok(Array.isArray(envelope) && envelope.length === 10);
    }),
    { numRuns: 500 },
  );
});

test('sections are bytes of the message, as many as said', () => {
  const wanted = fc.record({
    part: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }),
    what: fc.constantFrom('whole', 'header', 'text', 'mime', 'header-fields', 'header-fields-not'),
    fields: fc.subarray(['subject', 'from', 'content-type', 'x'], { minLength: 1 }),
  });
  fc.assert(
    fc.property(message, wanted, (bytes, section) => {
      const root = parseParts(bytes);
      const located = locateSection(section, {
        size: bytes.length,
        headerSize: root.body,
        header: bytes.subarray(0, root.body),
        parts: root,
      });
      if (!located) return;
      assert.equal(bytesOfSection(located, bytes).length, located.size);
      for (const { start, end } of located.ranges)
        assert.ok(start >= 0 && start <= end && end <= bytes.length);
    }),
    { numRuns: 3000 },
  );
});

test('address fields never throw', () => {
  const value = fc
    .array(
      fc.oneof(
        fc.constantFrom('<', '>', '@', ',', ';', ':', '"', '(', ')', '\\', '[', ']', 'a', ' ', '.'),
        fc.string({ maxLength: 3 }),
      ),
      {
        maxLength: 25,
      },
    )
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(value, (text) => {
      for (const { name, mailbox, host } of parseAddresses(text)) {
        // Either both are there, or it is the mark of a group.
        assert.ok(mailbox !== undefined || (host === undefined && name === undefined));
      }
    }),
    { numRuns: 3000 },
  );
});
