import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseContentType } from '../../src/message/content-type.ts';
import { boundaryOf, splitMultipart } from '../../src/message/multipart.ts';

function split(text: string, maxParts = 10): string | { around: [string, string]; parts: string[] } {
  const message = Buffer.from(`header\r\n\r\n${text}`, 'latin1');
  const multipart = splitMultipart(message, 10, 'b', maxParts);
  if ('problem' in multipart) return multipart.problem;
  const of = ({ start, end }: { start: number; end: number }) => message.toString('latin1', start, end);
  return { around: [of(multipart.preamble), of(multipart.epilogue)], parts: multipart.parts.map(of) };
}

test('a multipart is taken apart, preamble and epilogue told from the parts', () => {
  for (const [text, around, parts] of [
    ['--b\r\none\r\n--b\r\ntwo\r\n--b--\r\n', ['', ''], ['one', 'two']],
    ['\r\n--b\r\none\r\n--b--', ['', ''], ['one']],
    ['pre\r\n--b\r\none\r\n--b--\r\npost\r\n', ['pre', 'post\r\n'], ['one']],
    ['--b \t \r\none\r\n\r\n--b-- \t\r\n\r\n', ['', '\r\n'], ['one\r\n']],
    ['--b\r\n--b\r\n\r\n--b--', ['', ''], ['', '']],
    ['--b\r\nnot --b here\r\n --b\r\n--c\r\n--b--', ['', ''], ['not --b here\r\n --b\r\n--c']],
    ['--b--\r\n', ['', ''], []],
  ] as const) {
    assert.deepEqual(split(text), { around, parts }, JSON.stringify(text));
  }
});

test('boundaries that two readers could read differently are problems', () => {
  for (const [text, problem] of [
    ['', 'multipart without a closing boundary'],
    ['--b\r\none\r\n', 'multipart without a closing boundary'],
    ['--b\r\none\r\n--b\r\n', 'multipart without a closing boundary'],
    ['--b\r\none --b--', 'multipart without a closing boundary'],
    ['--b\r\none\r\n--bb\r\n--b--', 'line that only begins with the boundary'],
    ['--b\r\none\r\n--b-\r\n--b--', 'line that only begins with the boundary'],
    ['--b\r\none\r\n--b--x\r\n', 'line that only begins with the boundary'],
    ['--b\r\none\r\n--b', 'line that only begins with the boundary'],
    ['--b\r\none\r\n--b--\r', 'line that only begins with the boundary'],
    ['--b\none\r\n--b--', 'line that only begins with the boundary'],
    ['--b\r\none\n--b--', 'boundary behind a bare carriage return or line feed'],
    ['--b\r\none\r--b--', 'boundary behind a bare carriage return or line feed'],
    ['--b\r\none\r\n--b--\r\n--b--', 'boundary after the closing one'],
    ['--b\r\none\r\n--b--\r\npost\r\n--bx\r\n', 'boundary after the closing one'],
  ] as const) {
    assert.equal(split(text), problem, JSON.stringify(text));
  }
  const three = '--b\r\n1\r\n--b\r\n2\r\n--b\r\n3\r\n--b--';
  assert.equal(split(three, 2), 'multipart with more than 2 parts');
  assert.equal(typeof split(three, 3), 'object');
});

test('the boundary is the one that every reader finds', () => {
  for (const [parameters, expected] of [
    ['boundary=abc', 'abc'],
    ['boundary="a b"', 'a b'],
    [`boundary="${"0aZ'()+_,-./:=?".repeat(4)}"`, "0aZ'()+_,-./:=?".repeat(4)],
    [`boundary=${'a'.repeat(70)}`, 'a'.repeat(70)],
    [`boundary=${'a'.repeat(71)}`, undefined],
    ['boundary=""', undefined],
    ['boundary="a "', undefined],
    ['boundary="a\xe9"', undefined],
    ['boundary="a*"', undefined],
    ['boundary=a=b', undefined],
    ['x=y', undefined],
    ['boundary=a; boundary=a', undefined],
    ["boundary=a; boundary*=utf-8''b", undefined],
    ['boundary*0=a; boundary*1=b', undefined],
    ['boundary=a; Boundary*0=b', undefined],
  ] as const) {
    const contentType = parseContentType(`multipart/mixed; ${parameters}`);
    assert.ok(contentType);
    const boundary = boundaryOf(contentType);
    assert.equal(typeof boundary === 'string' ? boundary : undefined, expected, parameters);
  }
});
