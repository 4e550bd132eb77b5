import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LiteralOffer, SplitterEvent } from '../../../src/imap/wire/splitter.ts';
import { BEFORE_LOGIN, createSplitter, MAX_LITERALS } from '../../../src/imap/wire/splitter.ts';
import { assertLinear } from '../../harness/linear.ts';

/** An event in short, for comparing. */
function short(event: SplitterEvent): string {
  switch (event.kind) {
    case 'command':
      return event.pieces.map((piece) => piece.toString('latin1')).join('|');
    case 'continue':
      return `+${String(event.size)}`;
    case 'line':
      return `line ${event.line.toString('latin1')}`;
    case 'refused':
      return `${event.close ? 'closing ' : ''}${event.tag ?? '*'} ${event.reply}`;
  }
}

/** Takes literals up to 10 octets. */
const small = ({ size }: LiteralOffer) =>
  size <= 10 ? 'take' : ({ refuse: 'NO [TOOBIG] Too big' } as const);

function splitterOf(limits = { line: 100, drain: 1000 }) {
  return createSplitter({ limits, decide: small });
}

function feed(text: string, splitter = splitterOf()): string[] {
  splitter.push(Buffer.from(text, 'latin1'));
  const events: string[] = [];
  for (let event = splitter.next(); event; event = splitter.next()) events.push(short(event));
  return events;
}

const cases: readonly (readonly [what: string, bytes: string, events: readonly string[]])[] = [
  ['a line is a command', 'a NOOP\r\n', ['a NOOP']],
  ['a bare LF ends a line too', 'a NOOP\nb NOOP\r\n', ['a NOOP', 'b NOOP']],
  ['an empty line is an empty command', '\r\n', ['']],
  ['pipelined commands come one by one', 'a NOOP\r\nb IDLE\r\nc', ['a NOOP', 'b IDLE']],
  ['a literal is waited for', 'a LOGIN {3}\r\nabc {2}\r\nde\r\n', ['+3', '+2', 'a LOGIN |abc| |de|']],
  ['a LITERAL+ is not', 'a LOGIN {3+}\r\nabc {2+}\r\nde\r\nb X\r\n', ['a LOGIN |abc| |de|', 'b X']],
  ['an empty literal is one', 'a X {0}\r\n\r\nb X {0+}\r\n y\r\n', ['+0', 'a X ||', 'b X || y']],
  ['a literal holds line ends and markers', 'a X {8+}\r\na\r\n{3}\r\n\r\n', ['a X |a\r\n{3}\r\n|']],
  ['a literal8 keeps its mark', 'a X ~{3+}\r\nabc\r\n', ['a X ~|abc|']],
  [
    'what only looks like a literal is text',
    'a {3} b\r\n{}\r\n{-1}\r\n{3-}\r\n',
    ['a {3} b', '{}', '{-1}', '{3-}'],
  ],
  [
    'a literal too big is refused before it is sent',
    'a X {11}\r\nb NOOP\r\n',
    ['a NO [TOOBIG] Too big', 'b NOOP'],
  ],
  [
    'a LITERAL+ too big is passed over with the rest of its command',
    `a X {11+}\r\n${'z'.repeat(11)} {5+}\r\nb X\r\n rest\r\nc NOOP\r\n`,
    ['a NO [TOOBIG] Too big', 'c NOOP'],
  ],
  [
    'a waiting literal within a refused command ends it',
    `a X {11+}\r\n${'z'.repeat(11)} {5}\r\nc NOOP\r\n`,
    ['a NO [TOOBIG] Too big', 'c NOOP'],
  ],
  ['a second literal can be refused', 'a X {2+}\r\nab {12}\r\nc Y\r\n', ['a NO [TOOBIG] Too big', 'c Y']],
  [
    'a LITERAL+ that is far too big ends the session',
    'a X {1001+}\r\n\r\nb Y\r\n',
    ['closing a NO [TOOBIG] Too big'],
  ],
  [
    'a LITERAL+ that no number holds ends the session',
    'a X {9999999999999999999+}\r\nb Y\r\n',
    ['closing a NO [TOOBIG] Too big'],
  ],
  [
    'a line too long is passed over',
    `a ${'x'.repeat(99)}\r\nb NOOP\r\n`,
    ['a BAD Command line too long', 'b NOOP'],
  ],
  ['a line as long as may be is a command', `a ${'x'.repeat(98)}\r\n`, [`a ${'x'.repeat(98)}`]],
  [
    'a line without an end ends the session',
    `a ${'x'.repeat(1200)}`,
    ['closing a BAD Command line too long'],
  ],
  [
    'all lines of a command count together',
    `a ${'x'.repeat(50)} {1+}\r\ny${'z'.repeat(50)}\r\nb NOOP\r\n`,
    ['a BAD Command line too long', 'b NOOP'],
  ],
  [
    'the literal behind a line too long is passed over',
    `a ${'x'.repeat(99)} {6+}\r\nc X\r\n!\r\nb NOOP\r\n`,
    ['a BAD Command line too long', 'b NOOP'],
  ],
  [
    'a refusal without a tag has none',
    '{11}\r\n( {11}\r\n',
    ['* NO [TOOBIG] Too big', '* NO [TOOBIG] Too big'],
  ],
];

for (const [what, bytes, events] of cases) {
  test(`splitter: ${what}`, () => assert.deepEqual(feed(bytes), events));
}

test('the same bytes give the same events wherever they are cut', () => {
  for (const [what, bytes, events] of cases) {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const splitter = splitterOf();
      const found = [...feed(bytes.slice(0, cut), splitter), ...feed(bytes.slice(cut), splitter)];
      assert.deepEqual(found, events, `${what}, cut at ${String(cut)}`);
    }
    const splitter = splitterOf();
    assert.deepEqual(
      [...bytes].flatMap((byte) => feed(byte, splitter)),
      events,
      `${what}, byte by byte`,
    );
  }
});

test('the decision sees the command so far, the size and what came before', () => {
  const offers: LiteralOffer[] = [];
  const splitter = createSplitter({
    limits: BEFORE_LOGIN,
    decide: (offer) => {
      offers.push({ ...offer, pieces: [...offer.pieces] });
      return 'take';
    },
  });
  feed('a SETMETADATA {3+}\r\nabc (x {4}\r\nabcd)\r\nb X {5+}\r\nabcde\r\n', splitter);
  assert.deepEqual(
    offers.map(({ pieces, size, before, synchronizing }) => [
      pieces.map(String),
      size,
      before,
      synchronizing,
    ]),
    [
      [['a SETMETADATA '], 3, 0, false],
      [['a SETMETADATA ', 'abc', ' (x '], 4, 3, true],
      [['b X '], 5, 0, false],
    ],
  );
});

test('the number of literals in a command is bounded', () => {
  const literals = (count: number) => `a X${' {1+}\r\ny'.repeat(count)}\r\nb NOOP\r\n`;
  const limits = { line: 10_000, drain: 10_000 };
  assert.equal(feed(literals(MAX_LITERALS), splitterOf(limits)).at(-1), 'b NOOP');
  assert.deepEqual(feed(literals(MAX_LITERALS + 1), splitterOf(limits)), [
    'a BAD Too many literals',
    'b NOOP',
  ]);
});

test('nothing comes after a closing event, and pushed bytes are not kept', () => {
  const splitter = splitterOf();
  feed(`a ${'x'.repeat(2000)}`, splitter);
  assert.deepEqual(feed('\r\nb NOOP\r\n', splitter), []);
  assert.equal(splitter.pending, 0);
});

test('nextLine takes a line as it is, in the middle of commands', () => {
  const splitter = splitterOf();
  assert.deepEqual(feed('a IDLE\r\n', splitter), ['a IDLE']);
  splitter.push(Buffer.from('DO'));
  assert.equal(splitter.nextLine(), undefined);
  splitter.push(Buffer.from('NE {3}\r\n\r\nb NOOP\r\n'));
  assert.deepEqual(
    [splitter.nextLine(), splitter.nextLine()].map((event) => event && short(event)),
    ['line DONE {3}', 'line '],
  );
  assert.deepEqual(feed('', splitter), ['b NOOP']);
  splitter.push(Buffer.from(`${'x'.repeat(110)}\r\nc NOOP\r\n`));
  const refused = splitter.nextLine();
  assert.equal(refused && short(refused), '* BAD Command line too long');
  assert.deepEqual(feed('', splitter), ['c NOOP']);
});

test('takePending gives back what was not looked at and forgets half a command', () => {
  const splitter = splitterOf();
  splitter.push(Buffer.from('a STARTTLS\r\nb XINJ'));
  splitter.push(Buffer.from('ECT\r\n'));
  assert.equal(splitter.next()?.kind, 'command');
  assert.equal(splitter.pending, 11);
  assert.equal(splitter.takePending().toString(), 'b XINJECT\r\n');
  assert.equal(splitter.pending, 0);
  assert.deepEqual(feed('c HALF', splitter), []);
  splitter.takePending();
  assert.deepEqual(feed('d NOOP\r\n', splitter), ['d NOOP']);
});

test('new limits hold from the next line on', () => {
  const splitter = splitterOf();
  splitter.setLimits({ line: 200, drain: 1000 });
  assert.deepEqual(feed(`a ${'x'.repeat(150)}\r\n`, splitter), [`a ${'x'.repeat(150)}`]);
});

test('a literal is gathered in its own memory: the chunks can be used again', () => {
  const splitter = splitterOf();
  const chunk = Buffer.from('a X {3+}\r\nabc\r\n');
  splitter.push(chunk);
  const event = splitter.next();
  chunk.fill(0x21);
  assert.equal(event && short(event), 'a X |abc|');
});

test('single bytes cost no more than linear time', () => {
  const byte = Buffer.from('x');
  assertLinear(
    'single bytes',
    8_000,
    (size) => size,
    (size) => {
      const limits = { line: 100, drain: 10_000_000 };
      const splitter = createSplitter({ limits, decide: () => 'take' });
      feed(`a X {${String(size)}+}\r\n`, splitter);
      for (let sent = 0; sent < size / 2; sent += 1) splitter.push(byte);
      assert.equal(splitter.next(), undefined);
      // The second half of the literal, and as much again in a line that is too long.
      for (let sent = 0; sent < size * 1.5; sent += 1) {
        splitter.push(byte);
        splitter.next();
      }
    },
  );
});
