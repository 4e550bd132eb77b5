import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createBytesMatcher } from '../../src/imap/bytes-matcher.ts';
import { formatDateTime, parseDateTime } from '../../src/imap/wire/date-time.ts';
import { matchesPattern } from '../../src/imap/wire/mailbox-pattern.ts';
import { decodeUtf7, encodeUtf7 } from '../../src/imap/wire/modified-utf7.ts';
import { parseCommand } from '../../src/imap/wire/parse-command.ts';
import { bytesOf, mailboxOf, stringOf } from '../../src/imap/wire/response.ts';
import type { Piece } from '../../src/imap/wire/response.ts';
import {
  formatSequenceSet,
  numbersInSet,
  parseSequenceSet,
  uidsInSet,
} from '../../src/imap/wire/sequence-set.ts';
import { createSplitter } from '../../src/imap/wire/splitter.ts';
import type { SplitterEvent } from '../../src/imap/wire/splitter.ts';
import { readValue } from '../harness/imap-reader.ts';

const bytes = (maxLength = 60) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
/** Octets that a literal may hold. */
const char8 = (maxLength = 60) =>
  fc.array(fc.integer({ min: 1, max: 255 }), { maxLength }).map((array) => Buffer.from(array));
/** Names that mailboxes may have: no control characters, well-formed. */
const name = fc
  .string({ unit: 'binary', maxLength: 40 })
  .map((text) => text.toWellFormed().replace(/[\x00-\x1f\x7f-\x9f]/g, 'x'));

const limits = { line: 500, drain: 2000 };

function events(chunks: readonly Buffer[]): SplitterEvent[] {
  const splitter = createSplitter({
    limits,
    decide: ({ size }) => (size <= 100 ? 'take' : { refuse: 'NO too big' }),
  });
  const found: SplitterEvent[] = [];
  for (const chunk of chunks) {
    splitter.push(chunk);
    for (let event = splitter.next(); event; event = splitter.next()) found.push(event);
  }
  return found;
}

/** What goes into one command's pieces, as the splitter would give them. */
function split(...line: readonly Piece[]): readonly Buffer[] {
  const found = events([Buffer.concat([...line, '\r\n'].map(bytesOf)), Buffer.alloc(0)]).filter(
    (event) => event.kind === 'command',
  );
  assert.equal(found.length, 1);
  return found[0]?.pieces ?? [];
}

function command(...line: readonly Piece[]) {
  const parsed = parseCommand(split(...line));
  assert.ok('command' in parsed, JSON.stringify(parsed));
  return parsed.command;
}

/** Bytes that look like IMAP, so that the deeper places are reached. */
const words =
  'a LOGIN SELECT STATUS LIST RETURN APPEND FETCH UID STORE SEARCH OR NOT ID ENABLE GETMETADATA SETMETADATA AUTHENTICATE PLAIN GETQUOTA SETQUOTA STORAGE COPY MOVE EXPUNGE (CONDSTORE) INBOX NIL ( ) [ ] < > " \\ \\Seen +FLAGS.SILENT BODY.PEEK[ HEADER.FIELDS 1:* 1.2.MIME <0.5> {3} {5+} ~ * % & / /shared/comment MAXSIZE DEPTH infinity CHANGEDSINCE UNCHANGEDSINCE 1-Feb-2024 "1-Feb-2024" UTF-8 CHARSET MODSEQ FROM BODY TEXT é \0 = - 99999999999999999999'.split(
    ' ',
  );
const likely = fc
  .array(fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...words) }, fc.string({ maxLength: 5 })), {
    maxLength: 14,
  })
  .chain((parts) => fc.constantFrom(' ', '', '  ').map((space) => Buffer.from(`t ${parts.join(space)}`)));

test('the same bytes give the same commands wherever they are cut', () => {
  const stream = fc.array(
    fc.oneof(
      likely.map((line) => Buffer.concat([line, Buffer.from('\r\n')])),
      fc
        .tuple(bytes(20), bytes(150), fc.constantFrom('', '+'))
        .map(([text, literal, plus]) =>
          Buffer.concat([
            text,
            Buffer.from(`{${String(literal.length)}${plus}}\r\n`),
            literal,
            Buffer.from('\r\n'),
          ]),
        ),
      bytes(30),
      fc
        .constantFrom('\r', '\n', '\r\n', '{', '}', '+}\r\n', 'x'.repeat(600))
        .map((text) => Buffer.from(text)),
    ),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(stream, fc.array(fc.nat(400), { maxLength: 12 }), (parts, cuts) => {
      const whole = Buffer.concat(parts);
      const places = [
        0,
        ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b),
        whole.length,
      ];
      const chunks = places.slice(1).map((end, at) => whole.subarray(places[at], end));
      const expected = events([whole]);
      assert.deepEqual(events(chunks), expected);
      assert.deepEqual(events([...whole].map((byte) => Buffer.from([byte]))), expected);
    }),
    { numRuns: 300 },
  );
});

test('whatever the bytes, the answer is a command or a problem in plain words', () => {
  const answer = (pieces: readonly Buffer[]) => {
    const parsed = parseCommand(pieces);
    if ('problem' in parsed) assert.match(parsed.problem, /^[\x20-\x7e]{1,100}$/);
    if ('command' in parsed) assert.match(parsed.tag, /^[^ ]{1,100}$/);
  };
  fc.assert(
    fc.property(fc.array(fc.oneof(bytes(), likely), { minLength: 1, maxLength: 5 }), (parts) =>
      answer(parts),
    ),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(likely, (line) => answer([line])),
    { numRuns: 5000 },
  );
});

test('strings come back as they were, quoted or literal', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.string({ unit: 'binary', maxLength: 80 }),
      (user, pass) => {
        const [username, password] = [user, pass].map((text) => text.toWellFormed().replaceAll('\0', ''));
        assert.deepEqual(command('t LOGIN ', stringOf(username ?? ''), ' ', stringOf(password ?? '')), {
          name: 'LOGIN',
          username,
          password,
        });
      },
    ),
  );
  fc.assert(
    fc.property(fc.array(char8(), { minLength: 1, maxLength: 4 }), (values) => {
      const entries = values.map((value, at) => ({ entry: `/private/e${String(at)}`, value }));
      const list = entries.flatMap(({ entry, value }, at) => [
        at === 0 ? '' : ' ',
        `${entry} `,
        stringOf(value),
      ]);
      assert.deepEqual(command('t SETMETADATA "" (', ...list, ')'), {
        name: 'SETMETADATA',
        mailbox: '',
        entries,
      });
    }),
  );
});

test('mailbox names come back as they were', () => {
  fc.assert(
    fc.property(name, (mailbox) => {
      fc.pre(!/^inbox$/i.test(mailbox) && encodeUtf7(mailbox).length < 400);
      assert.deepEqual(command(`t CREATE ${mailboxOf(mailbox)}`), { name: 'CREATE', mailbox });
    }),
  );
});

test('what imapflow reads of a string is the string', async () => {
  await fc.assert(
    fc.asyncProperty(char8(1200), async (value) => {
      assert.equal(await readValue(bytesOf(stringOf(value))), value.toString('latin1'));
    }),
    { numRuns: 100 },
  );
});

test('modified UTF-7 has one spelling for each name', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const encoded = encodeUtf7(text);
      assert.match(encoded, /^[\x20-\x7e]*$/);
      assert.equal(decodeUtf7(encoded), text.toWellFormed());
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^[&A-Za-z0-9+,/-]{0,12}$/), (text) => {
      const decoded = decodeUtf7(text);
      if (decoded !== undefined) assert.equal(encodeUtf7(decoded), text);
    }),
    { numRuns: 3000 },
  );
});

test('sets find what a plain search finds', () => {
  const end = fc.oneof(fc.integer({ min: 1, max: 30 }).map(String), fc.constant('*'));
  const range = fc.oneof(
    end,
    fc.tuple(end, end).map((ends) => ends.join(':')),
  );
  const ascending = fc
    .uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1 })
    .map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 8 }), ascending, (ranges, uids) => {
      const set = parseSequenceSet(ranges.join());
      assert.ok(set);
      const naive = (value: number, highest: number) =>
        ranges.some((text) => {
          const [a = 0, b = a] = text.split(':').map((number) => (number === '*' ? highest : Number(number)));
          return value >= Math.min(a, b) && value <= Math.max(a, b);
        });
      assert.deepEqual(
        uidsInSet(set, uids),
        uids.filter((uid) => naive(uid, uids.at(-1) ?? 0)),
      );
      assert.deepEqual(
        numbersInSet(set, uids).uids,
        uids.filter((_, at) => naive(at + 1, uids.length)),
      );
    }),
  );
  fc.assert(
    fc.property(ascending, (numbers) => {
      const set = parseSequenceSet(formatSequenceSet(numbers));
      assert.deepEqual(set && uidsInSet(set, numbers), numbers);
    }),
  );
});

test('patterns match what a regular expression matches', () => {
  const agree = (pattern: string, subject: string) => {
    const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('%', '[^/]*')}$`);
    assert.equal(matchesPattern(subject, pattern), expression.test(subject));
  };
  fc.assert(fc.property(fc.stringMatching(/^[ab/*%]{0,7}$/), fc.stringMatching(/^[ab/]{0,9}$/), agree), {
    numRuns: 2000,
  });
  // Long ones, with a wildcard or two near the borders of words.
  const long = fc.tuple(
    fc.nat(70),
    fc.constantFrom('*', '%', '*b', '%a', ''),
    fc.nat(70),
    fc.constantFrom('*', '%', 'b', ''),
  );
  fc.assert(
    fc.property(long, fc.nat(140), fc.constantFrom('', '/', 'b'), (parts, length, middle) => {
      const [before, first, after, second] = parts;
      agree(
        'a'.repeat(before) + first + 'a'.repeat(after) + second,
        'a'.repeat(before + (length % 40)) + middle + 'a'.repeat(after),
      );
    }),
    { numRuns: 2000 },
  );
});

test('bytes are found where indexOf finds them', () => {
  const few = fc.stringMatching(/^[aAbB]{0,30}$/);
  fc.assert(
    fc.property(few, fc.stringMatching(/^[aAbB]{0,5}$/), fc.nat(30), (text, needle, cut) => {
      const matcher = createBytesMatcher(Buffer.from(needle));
      matcher.feed(Buffer.from(text.slice(0, cut)));
      assert.equal(
        matcher.feed(Buffer.from(text.slice(cut))),
        text.toLowerCase().includes(needle.toLowerCase()),
      );
    }),
    { numRuns: 1000 },
  );
});

test('dates come back to the second', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253402300799 }), (seconds) => {
      assert.equal(parseDateTime(formatDateTime(seconds * 1000)), seconds * 1000);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const ms = parseDateTime(text);
      assert.ok(ms === undefined || Number.isFinite(ms));
    }),
  );
});
