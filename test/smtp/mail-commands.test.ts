import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseMailCommand, parseRcptCommand } from '../../src/smtp/mail-commands.ts';

test('MAIL FROM is read as RFC 5321 writes it, and as old senders do', () => {
  const table: readonly (readonly [string, unknown])[] = [
    ['MAIL FROM:<>', { sender: '', size: undefined }],
    ['MAIL FROM:<Alice@Example.org>', { sender: 'Alice@Example.org', size: undefined }],
    ['mail from: <a@b.c>', { sender: 'a@b.c', size: undefined }],
    ['MAIL FROM:<a@_teal.test> BODY=8BITMIME', { sender: 'a@_teal.test', size: undefined }],
    ['MAIL FROM:<a@b.c> SIZE=1234 body=7bit', { sender: 'a@b.c', size: 1234 }],
    ['MAIL FROM:<a@b.c>  SIZE=0 AUTH=<>', { sender: 'a@b.c', size: 0 }],
    ['MAIL FROM:<a@[192.0.2.1]>', { sender: 'a@[192.0.2.1]', size: undefined }],
    ['MAIL FROM:<"a b>c"@b.c>', { sender: '"a b>c"@b.c', size: undefined }],
    ['MAIL FROM:<@relay.example,@other.example:a@b.c>', { sender: 'a@b.c', size: undefined }],
    ['MAIL FROM:<a@xn--bcher-kva.example>', { sender: 'a@xn--bcher-kva.example', size: undefined }],
    ['MAIL FROM:a@b.c', { problem: 'address' }],
    ['MAIL FROM:<a@b.c', { problem: 'address' }],
    ['MAIL FROM:<a@b.c>SIZE=1', { problem: 'address' }],
    ['MAIL FROM:<a@b@c>', { problem: 'address' }],
    ['MAIL FROM:<a b@c.d>', { problem: 'address' }],
    ['MAIL FROM:<a>', { problem: 'address' }],
    ['MAIL FROM:<\xe4@b.c>', { problem: 'address' }],
    ['MAIL', { problem: 'address' }],
    ['MAIL TO:<a@b.c>', { problem: 'address' }],
    ['MAIL FROM:<a@b.c> ==', { problem: 'address' }],
    ['MAIL FROM:<a@b.c> SMTPUTF8', { problem: 'parameter', parameter: 'SMTPUTF8' }],
    ['MAIL FROM:<a@b.c> RET=HDRS', { problem: 'parameter', parameter: 'RET' }],
    ['MAIL FROM:<a@b.c> SIZE=-1', { problem: 'value', parameter: 'SIZE' }],
    ['MAIL FROM:<a@b.c> SIZE', { problem: 'value', parameter: 'SIZE' }],
    ['MAIL FROM:<a@b.c> SIZE=1 SIZE=2', { problem: 'value', parameter: 'SIZE' }],
    ['MAIL FROM:<a@b.c> BODY=BINARYMIME', { problem: 'value', parameter: 'BODY' }],
  ];
  for (const [line, expected] of table) assert.deepEqual(parseMailCommand(line), expected, line);
});

test('RCPT TO is read the same way, and Postmaster needs no domain', () => {
  const table: readonly (readonly [string, unknown])[] = [
    ['RCPT TO:<bob@b.c>', { recipient: 'bob@b.c' }],
    ['rcpt to:<Postmaster>', { recipient: 'postmaster@_teal.test' }],
    ['RCPT TO:<@relay.example:bob@b.c>', { recipient: 'bob@b.c' }],
    ['RCPT TO:<>', { problem: 'address' }],
    ['RCPT TO:<bob>', { problem: 'address' }],
    ['RCPT TO:<bob@b.c> NOTIFY=NEVER', { problem: 'parameter', parameter: 'NOTIFY' }],
  ];
  for (const [line, expected] of table)
    assert.deepEqual(parseRcptCommand(line, '_teal.test'), expected, line);
});

test('no line makes the parser throw or hang', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      parseMailCommand(`MAIL FROM:${text}`);
      parseRcptCommand(`RCPT TO:<${text}>`, 'b.c');
    }),
  );
  const started = performance.now();
  for (const text of [
    '<"'.repeat(1000),
    `<"${'\\"'.repeat(1000)}`,
    `<${'a.'.repeat(1000)}`,
    `<@${'@,'.repeat(1000)}:`,
  ]) {
    parseMailCommand(`MAIL FROM:${text}`);
  }
  assert.ok(performance.now() - started < 500);
});
