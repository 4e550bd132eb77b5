import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSender, judgeIncoming, judgeOutgoing } from '../../src/filter/judge.ts';
import { parseHeader } from '../../src/message/header.ts';
import { BOUNDARY, mail, secureJoinRequest } from '../harness/encrypted-mail.ts';

const cleartext = (shape: Parameters<typeof mail>[0] = {}) =>
  mail({
    contentType: `Content-Type: multipart/mixed; boundary="${BOUNDARY}"`,
    parts: ['\r\nhello'],
    ...shape,
  });

/** What became of it: the reason it passes, or the reply. */
const outcome = (judged: ReturnType<typeof judgeOutgoing> | ReturnType<typeof judgeIncoming>) =>
  judged.ok ? judged.as : judged.refusal.reply;

const outgoing = (message: Buffer, sender = 'alice@chat.test', recipients = ['bob@chat.test']) =>
  outcome(judgeOutgoing({ message, header: parseHeader(message), sender, recipients }));
const incoming = (message: Buffer, ...acceptsCleartext: boolean[]) =>
  outcome(judgeIncoming({ message, header: parseHeader(message), acceptsCleartext }));

const NEEDED = '523 Encryption Needed: Invalid Unencrypted Mail';

test('a user may send encrypted mail, a secure-join request and a setup message to himself', () => {
  const setup = cleartext({
    contentType: `Subject: Autocrypt Setup Message\r\nContent-Type: multipart/mixed; boundary="${BOUNDARY}"`,
  });
  const soleSubject = Buffer.from(setup.toString().replace('Subject: [...]\r\n', ''));
  assert.equal(outgoing(mail()), 'encrypted');
  assert.equal(outgoing(mail(), 'ALICE@Chat.Test'), 'encrypted');
  assert.equal(outgoing(secureJoinRequest()), 'secure-join');
  assert.equal(outgoing(soleSubject, 'alice@chat.test', ['alice@chat.test']), 'setup-message');
  assert.equal(outgoing(soleSubject), NEEDED);
  assert.equal(outgoing(cleartext()), NEEDED);
});

test('of several faults of a submitted message the first in the order of the rules is told', () => {
  const bob = 'Bob <bob@chat.test>';
  assert.equal(
    outgoing(cleartext({ headers: ['no field'], from: bob })),
    '500 Failed to parse message: header line that is not a field',
  );
  assert.equal(outgoing(cleartext({ from: 'a@b, c@d' })), '500 Invalid FROM header: more than one address');
  assert.equal(outgoing(cleartext({ from: bob })), '500 Invalid FROM <bob@chat.test> for <alice@chat.test>');
  assert.equal(outgoing(mail({ from: bob })), '500 Invalid FROM <bob@chat.test> for <alice@chat.test>');
  assert.equal(outgoing(mail(), ''), '500 Invalid FROM <alice@chat.test> for <>');
  assert.equal(
    outgoing(mail(), 'alice+tag@chat.test'),
    '500 Invalid FROM <alice@chat.test> for <alice+tag@chat.test>',
  );
  assert.equal(outgoing(cleartext()), NEEDED);
});

test('neither a bounce nor a usual preamble makes cleartext of a user pass', () => {
  const bounce = cleartext({
    from: 'mailer-daemon@chat.test',
    contentType: `Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; boundary="${BOUNDARY}"`,
  });
  assert.equal(incoming(bounce, false), 'bounce');
  assert.equal(outgoing(bounce, 'mailer-daemon@chat.test'), NEEDED);
  const noticed = mail({ preamble: 'This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n' });
  assert.equal(incoming(noticed, false), 'encrypted');
  assert.equal(outgoing(noticed), NEEDED);
});

test('cleartext from outside comes in only where every recipient takes it', () => {
  assert.equal(incoming(mail(), false), 'encrypted');
  assert.equal(incoming(mail()), 'encrypted');
  assert.equal(incoming(secureJoinRequest(), false), 'secure-join');
  assert.equal(incoming(cleartext(), true), 'cleartext');
  assert.equal(incoming(cleartext(), true, true), 'cleartext');
  assert.equal(incoming(cleartext(), true, false), NEEDED);
  assert.equal(incoming(cleartext(), false), NEEDED);
  assert.equal(incoming(cleartext()), NEEDED, 'an unknown address is not told from a known one');
});

test('mail from outside needs one author too, and the judgement names him', () => {
  assert.equal(incoming(mail({ from: 'a@b, c@d' }), true), '500 Invalid FROM header: more than one address');
  assert.equal(
    incoming(mail({ headers: ['From: c@d'] }), true),
    '500 Invalid FROM header: there is more than one From field',
  );
  assert.equal(
    incoming(mail({ headers: ['x y: z'] }), true),
    '500 Failed to parse message: header line that is not a field',
  );
  const message = mail({ from: 'Alice <Alice@[192.0.2.1]>' });
  const judged = judgeIncoming({ message, header: parseHeader(message), acceptsCleartext: [] });
  assert.deepEqual(judged.ok && judged.author, {
    address: 'alice@[192.0.2.1]',
    local: 'alice',
    domain: '[192.0.2.1]',
    literal: '192.0.2.1',
  });
});

test('a refusal tells the log which rule failed, and no content', () => {
  const message = cleartext({ from: '"secret name" <alice@chat.test>', preamble: 'secret text\r\n' });
  const judged = judgeOutgoing({
    message,
    header: parseHeader(message),
    sender: 'alice@chat.test',
    recipients: [],
  });
  assert.ok(!judged.ok);
  assert.equal(judged.refusal.detail, 'not multipart/encrypted');
  const mismatch = checkSender(parseHeader(message), 'bob@chat.test');
  assert.ok(!mismatch.ok);
  assert.doesNotMatch(mismatch.refusal.detail, /secret|@/);
});
