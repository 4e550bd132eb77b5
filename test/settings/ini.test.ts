import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseIni, quoted } from '../../src/settings/ini.ts';

const read = (text: string) => parseIni(text, 'params');
const pairs = (text: string) => read(text).entries.map(({ key, value }) => [key, value]);

describe('parseIni reads what upstream reads', () => {
  const cases: readonly [name: string, text: string, expected: readonly (readonly [string, string])[]][] = [
    ['a value', '[params]\na = 1', [['a', '1']]],
    ['no space, much space, space behind', '[params]\na=1\nb   =   2  \n', [['a', '1'], ['b', '2']]], // prettier-ignore
    ['an empty value', '[params]\na =\nb =  \n', [['a', ''], ['b', '']]], // prettier-ignore
    ['a colon instead', '[params]\na: 1', [['a', '1']]],
    ['a colon before the first =', '[params]\nurl: https://x/?a=b', [['url', 'https://x/?a=b']]],
    ['= and : within a value', '[params]\nurl = https://x/?a=b:c', [['url', 'https://x/?a=b:c']]],
    ['comments of both kinds, indented ones too', '# x\n[params]\n; y\na = 1\n  # z\n', [['a', '1']]],
    ['no comment behind a value', '[params]\na = 1 # one\nb = x;y', [['a', '1 # one'], ['b', 'x;y']]], // prettier-ignore
    ['a comment behind the section', '[params] # here\na = 1', [['a', '1']]],
    ['lines that go on', '[params]\na = x\n  y\n\ty z\nb = 1', [['a', 'x\ny\ny z'], ['b', '1']]], // prettier-ignore
    ['going on from an empty value', '[params]\na =\n  x\n\n  # c\n  y', [['a', 'x\ny']]],
    ['% and {} as themselves', '[params]\na = 100% {b} {{c}} %(d)s', [['a', '100% {b} {{c}} %(d)s']]],
    ['CRLF, lone CR and a byte order mark', '\uFEFF[params]\r\na = 1\r\nb = 2\rc = 3', [['a', '1'], ['b', '2'], ['c', '3']]], // prettier-ignore
    ['keys as they are written', '[params]\nA = 1\na = 2', [['A', '1'], ['a', '2']]], // prettier-ignore
    ['nothing', '', []],
    ['an empty section', '[params]', []],
  ];
  for (const [name, text, expected] of cases)
    test(name, () => {
      assert.deepEqual(read(text).problems, []);
      assert.deepEqual(pairs(text), expected);
    });
});

test('parseIni counts lines from 1 and names the line of the key', () => {
  const { entries } = read('# one\n[params]\n\na = x\n  y\nb = z\n');
  assert.deepEqual(
    entries.map(({ key, line }) => [key, line]),
    [
      ['a', 4],
      ['b', 6],
    ],
  );
});

describe('parseIni tells each problem with its line, and goes on', () => {
  const cases: readonly [name: string, text: string, line: number, pattern: RegExp][] = [
    ['a line that is neither', '[params]\na = 1\nwhat is this\nb = 2', 3, /KEY = VALUE, got "what is this"/],
    ['no key', '[params]\n= 1\nb = 2', 2, /KEY = VALUE/],
    ['a second time', '[params]\na = 1\nb = 2\na = 3', 4, /a is set a second time, first in line 2/],
    [
      'a section of another name',
      '[params]\nb = 2\n[param]\na = 1\nnonsense',
      3,
      /unknown section \[param\]/,
    ],
    ['the section again', '[params]\nb = 2\n[params]\n', 3, /second time/],
    ['a section without an end', '[params\n[params]\nb = 2', 1, /expected \[params\], got "\[params"/],
    ['no section', 'a = 1\nb = 2', 1, /expected \[params\] above/],
    ['going on from nothing', '[params]\n  a = 1\nb = 2', 2, /goes on with a value/],
  ];
  for (const [name, text, line, pattern] of cases)
    test(name, () => {
      const { problems, entries } = read(text);
      assert.equal(problems.length, 1, JSON.stringify(problems));
      assert.equal(problems[0]?.line, line);
      assert.match(problems[0]?.text ?? '', pattern);
      assert.ok(name.startsWith('the section again') || entries.some(({ key }) => key === 'b'));
    });

  test('a line that goes on with a key set twice changes neither', () => {
    assert.deepEqual(pairs('[params]\na = 1\na = 2\n  3\n'), [['a', '1']]);
  });
});

test('parseIni never throws and gives each key once, whatever the text', () => {
  const line = fc.oneof(
    fc.constantFrom('[params]', '[', ']', '[x]', 'a = 1', ' b', 'c:d', '=', '#', '', '__proto__ = 1'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const { entries, problems } = read(lines.join('\n'));
      assert.equal(new Set(entries.map(({ key }) => key)).size, entries.length);
      for (const { line: at } of [...entries, ...problems]) assert.ok(at >= 1);
    }),
  );
});

test('parseIni reads back what was written', () => {
  const word = fc.stringMatching(/^[a-z_]{1,20}$/);
  const value = fc.stringMatching(/^[!-~]{0,10}( [!-~]{1,10})?$/).map((text) => text.trim());
  fc.assert(
    fc.property(fc.dictionary(word, value), (record) => {
      const text = Object.entries(record).map(([key, each]) => `${key} = ${each}`);
      assert.deepEqual(pairs(['[params]', ...text].join('\n')), Object.entries(record));
    }),
  );
});

test('quoted fits on a line of a terminal', () => {
  assert.equal(quoted('a "b"\n\u001b[31m'), '"a \\"b\\"\\n\\u001b[31m"');
  assert.ok(quoted('x'.repeat(10_000)).length < 110);
});
