import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BadReply, createReplyReader, MAX_REPLY, parseReply, replyText } from '../../src/outbound/reply.ts';

const read = (text: string) => createReplyReader().push(Buffer.from(text, 'latin1'));

test('a reply of one line, with and without an enhanced status code', () => {
  assert.deepEqual(read('250 2.1.5 ok\r\n'), [
    { code: 250, status: '2.1.5', text: 'ok', lines: ['2.1.5 ok'] },
  ]);
  assert.deepEqual(read('250 ok\r\n'), [{ code: 250, status: undefined, text: 'ok', lines: ['ok'] }]);
  assert.deepEqual(read('250\r\n'), [{ code: 250, status: undefined, text: '', lines: [''] }], 'old servers');
  assert.equal(read('250 ok\n')[0]?.text, 'ok', 'a bare LF ends a line, too');
});

test('several lines make one reply, the status counts once', () => {
  const [reply] = read('550-5.1.1 no such user,\r\n550-5.1.1 ask\r\n550 5.1.1 somebody else\r\n');
  assert.equal(reply?.status, '5.1.1');
  assert.equal(reply.text, 'no such user, ask somebody else');
  assert.equal(replyText(reply), '550 5.1.1 no such user, ask somebody else');
});

test('a status of another class than the code is text', () => {
  const [reply] = read('450 5.1.1 later\r\n');
  assert.ok(reply);
  assert.equal(reply.status, undefined);
  assert.equal(reply.text, '5.1.1 later');
});

test('control and 8-bit characters do not come through', () => {
  assert.equal(read('550 n\x1b[31m\xe9\0\r\n')[0]?.text, 'n?[31m??');
});

test('cut anywhere, it reads the same', () => {
  const text = '220 hello\r\n250-a\r\n250-SIZE 1\r\n250 b\r\n550 5.7.1 no\r\n';
  const whole = read(text);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: text.length - 1 }), { maxLength: 8 }), (cuts) => {
      const reader = createReplyReader();
      const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
      const replies = places.flatMap((place, n) =>
        reader.push(Buffer.from(text.slice(place, places[n + 1]))),
      );
      assert.deepEqual(replies, whole);
      assert.equal(reader.pending, false);
    }),
  );
});

test('what is half here is pending', () => {
  const reader = createReplyReader();
  reader.push(Buffer.from('250-more\r\n'));
  assert.equal(reader.pending, true);
  assert.equal(reader.push(Buffer.from('250 last\r\n')).length, 1);
  assert.equal(reader.pending, false);
  reader.push(Buffer.from('2'));
  assert.equal(reader.pending, true);
});

test('what is no reply, and what does not end, is refused', () => {
  for (const bad of [
    'HTTP/1.1 400 Bad Request\r\n',
    '\r\n',
    '199 x\r\n',
    '600 x\r\n',
    '25 x\r\n',
    '2500 x\r\n',
    '250_x\r\n',
  ])
    assert.throws(() => read(bad), BadReply, JSON.stringify(bad));
  assert.throws(() => read('250-a\r\n251 b\r\n'), /two codes/);
  assert.throws(() => read(`250 ${'x'.repeat(MAX_REPLY)}`), /does not end/, 'a line');
  assert.throws(() => read('250-a\r\n'.repeat(1000)), /does not end/, 'lines');
  const reader = createReplyReader();
  assert.throws(() => {
    for (let n = 0; n <= MAX_REPLY; n++) reader.push(Buffer.from('x'));
  }, BadReply);
});

test('any bytes give replies or BadReply, nothing else, and bounded ones', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        for (const { code, lines } of createReplyReader().push(Buffer.from(bytes))) {
          assert.ok(code >= 200 && code < 600);
          assert.ok(lines.join('').length <= bytes.length);
        }
      } catch (error) {
        assert.ok(error instanceof BadReply);
      }
    }),
  );
});

test('the body of an answer of /mxdeliv is a reply or none', () => {
  assert.equal(parseReply('554 5.7.1 No DKIM signature found')?.status, '5.7.1');
  assert.equal(parseReply('523 Encryption Needed: Invalid Unencrypted Mail\r\n')?.code, 523);
  assert.equal(parseReply('550-a\n550 b\n')?.text, 'a b');
  for (const none of [
    '',
    'bad request',
    '<html>400 Bad Request</html>',
    '554 a\r\n554 b',
    '554-a',
    '400'.repeat(9000),
  ])
    assert.equal(parseReply(none), undefined, none.slice(0, 40));
});
