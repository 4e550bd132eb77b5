import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBounce } from '../../src/filter/exceptions.ts';
import { buildDsn } from '../../src/message/dsn.ts';
import type { FailedRecipient } from '../../src/message/dsn.ts';
import { fieldsOf, parseHeader } from '../../src/message/header.ts';
import { readMultipart, readPart } from '../../src/message/part.ts';

const header = Buffer.from(
  'From: <alice@chat.test>\r\nTo: "hidden-recipients": ;\r\nSubject: [...]\r\nDate: Fri, 02 Jan 2026 11:59:00 +0000\r\n' +
    'Message-ID: <one@localhost>\r\nChat-Version: 1.0\r\n\r\n',
);
const bob: FailedRecipient = {
  address: 'bob@other.test',
  status: '5.1.1',
  text: 'there is no such address',
  host: 'mx.other.test',
  reply: '550 5.1.1 <bob@other.test>: User unknown',
};
const parts = { domain: 'chat.test', now: Date.UTC(2026, 0, 2, 12), id: 'abc123' };
const build = (recipients: readonly FailedRecipient[], block = header) =>
  buildDsn(
    { sender: 'alice@chat.test', header: block, acceptedAt: Date.UTC(2026, 0, 2, 11), recipients },
    parts,
  );

function read(dsn: Buffer) {
  const whole = readPart(dsn);
  assert.ok(!('problem' in whole));
  const multipart = readMultipart(whole, 3);
  assert.ok(!('problem' in multipart), JSON.stringify(multipart));
  return {
    header: parseHeader(dsn),
    parts: multipart.parts.map(({ start, end }) => whole.body.subarray(start, end).toString('latin1')),
  };
}

test('it is a report of three parts that other relays let in and Delta Chat understands', () => {
  const dsn = build([bob]);
  const read_ = read(dsn);
  assert.equal(read_.header.malformed, undefined);
  assert.ok(isBounce(read_.header), 'relay.md 3, "Incoming" 4');
  const field = (name: string) => fieldsOf(read_.header, name).map(({ value }) => value);
  assert.deepEqual(field('from'), ['"Mail Delivery" <mailer-daemon@chat.test>']);
  assert.deepEqual(field('to'), ['<alice@chat.test>']);
  assert.deepEqual(field('auto-submitted'), ['auto-replied']);
  assert.deepEqual(field('date'), ['Fri, 02 Jan 2026 12:00:00 +0000']);
  assert.deepEqual(field('message-id'), ['<abc123@chat.test>']);
  assert.deepEqual(field('references'), ['<one@localhost>']);
  assert.deepEqual(field('x-failed-recipients'), ['bob@other.test']);
  const [text = '', status = '', original = ''] = read_.parts;
  assert.match(
    text,
    /<bob@other\.test>\r\n {2}there is no such address\r\n {2}mx\.other\.test said: 550 5\.1\.1/,
  );
  assert.equal(
    status.replace(/\r\n[ \t]/g, ' '),
    [
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; chat.test',
      'Arrival-Date: Fri, 02 Jan 2026 11:00:00 +0000',
      '',
      'Final-Recipient: rfc822; bob@other.test',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx.other.test',
      'Diagnostic-Code: smtp; 550 5.1.1 <bob@other.test>: User unknown',
      'Last-Attempt-Date: Fri, 02 Jan 2026 12:00:00 +0000',
      '',
    ].join('\r\n'),
  );
  assert.match(original, /^Content-Type: text\/rfc822-headers\r\n\r\n/);
  assert.match(original, /^Message-ID: <one@localhost>\r$/m);
  assert.doesNotMatch(original, /Chat-Version|^To:/m);
});

test('where nobody replied the reason is ours, and all that failed are in one', () => {
  const carol = { address: 'carol@third.test', status: '4.4.7', text: 'no host answers' };
  const { header, parts } = read(build([bob, carol]));
  assert.deepEqual(fieldsOf(header, 'x-failed-recipients')[0]?.value, 'bob@other.test, carol@third.test');
  assert.equal(parts[1]?.match(/^Action: failed\r$/gm)?.length, 2);
  assert.match(
    parts[1],
    /Final-Recipient: rfc822; carol@third\.test\r\nAction: failed\r\nStatus: 4\.4\.7\r\nDiagnostic-Code: x-teal; no host answers\r\n/,
  );
});

test('what others said breaks no line and adds none', () => {
  const evil = `550 no\r\n\r\n--=_abc123--\r\nBcc: x ${'w'.repeat(3000)} \u00e9\u0000`;
  const dsn = build([{ ...bob, reply: evil, text: evil, host: 'mx\r\nX: y', status: '5.1.1\r\nX: y' }]);
  const text = dsn.toString('latin1');
  assert.match(text, /^[\x20-\x7e\r\n\t]*$/);
  assert.equal(read(dsn).parts.length, 3);
  for (const line of text.split('\r\n')) {
    assert.ok(line.length <= 998, String(line.length));
    assert.doesNotMatch(line, /^(Bcc|X): |^--=_abc123--./);
  }
});

test('a thousand recipients, and a header that says nothing', () => {
  const many = Array.from({ length: 1000 }, (_, n) => ({ ...bob, address: `user${n}@other.test` }));
  const { header, parts } = read(build(many, Buffer.from('\r\n')));
  assert.equal(header.malformed, undefined);
  assert.equal(fieldsOf(header, 'references').length, 0);
  assert.equal(parts[1]?.match(/^Final-Recipient: /gm)?.length, 1000);
});

test('a Message-ID that is none goes into no thread', () => {
  const block = Buffer.from('Message-ID: <a> <b>\r\nDate: x\u00e9\r\n\r\n', 'latin1');
  const { header, parts } = read(build([bob], block));
  assert.equal(fieldsOf(header, 'in-reply-to').length, 0);
  assert.match(parts[2] ?? '', /Date: x\?\r\n/);
});
