import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MAX_PARAMETERS,
  parameterOf,
  parseContentType,
  parseDisposition,
} from '../../src/message/content-type.ts';

test('a clean Content-Type is read, with comments, quotes and space where RFC 2045 and 822 allow them', () => {
  for (const [value, type, parameters] of [
    ['text/plain', 'text/plain', []],
    ['TEXT/Plain; CharSet=UTF-8', 'text/plain', [['charset', 'UTF-8']]],
    ['text/plain;', 'text/plain', []],
    ['text/plain ; ; a=b ;', 'text/plain', [['a', 'b']]],
    ['(c) text (d (e)) / (f\\)) plain (g) ; (h) a (i) = (j) b (k)', 'text/plain', [['a', 'b']]],
    [
      'multipart/mixed; \tboundary="a b;c=\\"d\\\\"; x=y',
      'multipart/mixed',
      [
        ['boundary', 'a b;c="d\\'],
        ['x', 'y'],
      ],
    ],
    ['text/plain; a=""', 'text/plain', [['a', '']]],
    [
      'text/plain; a=1; a=2',
      'text/plain',
      [
        ['a', '1'],
        ['a', '2'],
      ],
    ],
    [
      "application/x; name*=utf-8''%e2; name*0*=a",
      'application/x',
      [
        ['name*', "utf-8''%e2"],
        ['name*0*', 'a'],
      ],
    ],
    ['text/plain; name="\xc3\xa9"', 'text/plain', [['name', '\xc3\xa9']]],
  ] as const) {
    const parsed = parseContentType(value);
    assert.ok(parsed, value);
    assert.equal(parsed.problem, undefined, value);
    assert.equal(`${parsed.type}/${parsed.subtype}`, type, value);
    assert.deepEqual(
      parsed.parameters.map((parameter) => [parameter.name, parameter.value]),
      parameters,
      value,
    );
  }
});

test('an unclean Content-Type is read as far as it goes, and says what is wrong', () => {
  for (const [value, problem, parameters] of [
    ['text/plain; name=foo bar', 'text between parameters', [['name', 'foo']]],
    ['text/plain; boundary=a=b', 'parameter value that needs quotes', [['boundary', 'a=b']]],
    ['text/plain; name=\xe9', 'parameter value that needs quotes', [['name', '\xe9']]],
    ['text/plain; name="abc', 'quoted string that does not end', [['name', 'abc']]],
    [
      'text/plain; a="b"c; d=e',
      'text between parameters',
      [
        ['a', 'b'],
        ['d', 'e'],
      ],
    ],
    ['text/plain charset=x; d=e', 'text between parameters', [['d', 'e']]],
    ['text/plain; charset; d=e', 'parameter without a name or value', [['d', 'e']]],
    ['text/plain; =x; d=e', 'parameter without a name or value', [['d', 'e']]],
    [
      'text/plain; a=; d=e',
      'parameter without a value',
      [
        ['a', ''],
        ['d', 'e'],
      ],
    ],
    ['text/plain; a=b (c', 'comment that does not end', [['a', 'b']]],
    ['text/plain/x; a=b', 'text between parameters', [['a', 'b']]],
  ] as const) {
    const parsed = parseContentType(value);
    assert.equal(parsed?.problem, problem, value);
    assert.deepEqual(
      parsed?.parameters.map((parameter) => [parameter.name, parameter.value]),
      parameters,
      value,
    );
  }
  const many = parseContentType('a/b' + ';c=d'.repeat(MAX_PARAMETERS + 1));
  assert.equal(many?.problem, 'too many parameters');
  assert.equal(many?.parameters.length, MAX_PARAMETERS);
});

test('without type and subtype there is no Content-Type', () => {
  for (const value of [
    '',
    ' ',
    'text',
    'text/',
    '/plain',
    ';a=b',
    '"text/plain"',
    '(text/plain)',
    '(text/plain',
  ]) {
    assert.equal(parseContentType(value), undefined, value);
  }
});

test('a Content-Disposition is read in the same way', () => {
  const parsed = parseDisposition('Attachment; FileName="a.pdf"');
  assert.equal(parsed?.word, 'attachment');
  assert.equal(parsed && parameterOf(parsed, 'filename'), 'a.pdf');
  assert.equal(parsed && parameterOf(parsed, 'size'), undefined);
  assert.equal(parseDisposition(';x=y'), undefined);
});
