import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isBounce, isSecureJoinRequest, isSetupMessage } from '../../src/filter/exceptions.ts';
import { parseHeader } from '../../src/message/header.ts';
import { BOUNDARY, mail, secureJoinRequest } from '../harness/encrypted-mail.ts';

const asks = (message: Buffer) => isSecureJoinRequest(message, parseHeader(message));
const sample = (name: string) => readFileSync(new URL(`../data/delta-chat-mail/${name}`, import.meta.url));

test('a secure-join request in cleartext is known, as old clients make it', () => {
  assert.ok(asks(sample('x0001-legacy-v2-QR-v-3-removed-bob-joins-alice.eml')));
  for (const message of [
    secureJoinRequest(),
    secureJoinRequest({ field: 'Secure-Join: vg-request', text: 'Secure-Join: vg-request' }),
    secureJoinRequest({ field: 'secure-join:vg-request', text: '\r\n SECURE-JOIN: VC-REQUEST \r\n' }),
    secureJoinRequest({ contentType: `Content-Type: multipart/alternative; boundary="${BOUNDARY}"` }),
    secureJoinRequest({
      parts: ['Content-Transfer-Encoding: base64\r\n\r\nU2VjdXJlLUpvaW46IHZjLXJlcXVlc3Q='],
    }),
  ]) {
    assert.ok(asks(message));
  }
});

test('any other cleartext is no secure-join request', () => {
  const part = 'Content-Type: text/plain\r\n\r\nSecure-Join: vc-request';
  for (const [name, message] of [
    [
      'no field',
      mail({ contentType: `Content-Type: multipart/mixed; boundary="${BOUNDARY}"`, parts: [part] }),
    ],
    ['two fields', secureJoinRequest({ headers: ['Secure-Join: vc-request'] })],
    ['field in other case', secureJoinRequest({ field: 'Secure-Join: VC-request' })],
    ['a later step', secureJoinRequest({ field: 'Secure-Join: vc-request-with-auth' })],
    ['text around', secureJoinRequest({ text: 'Secure-Join: vc-request\r\nhello' })],
    ['other text', secureJoinRequest({ text: 'hello' })],
    ['step in the text', secureJoinRequest({ text: 'Secure-Join: vc-auth-required' })],
    ['long text', secureJoinRequest({ text: `${' '.repeat(2000)}Secure-Join: vc-request` })],
    ['no part', secureJoinRequest({ parts: [] })],
    ['two parts', secureJoinRequest({ parts: [part, part] })],
    ['HTML', secureJoinRequest({ parts: [part.replace('plain', 'html')] })],
    [
      'a multipart in it',
      secureJoinRequest({
        parts: [`Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n${part}\r\n--x--`],
      }),
    ],
    ['text before the part', secureJoinRequest({ preamble: 'hello\r\n' })],
    ['text after the part', secureJoinRequest({ ending: `--${BOUNDARY}--\r\nhello` })],
    ['not closed', secureJoinRequest({ ending: '' })],
    [
      'no multipart',
      Buffer.from('Secure-Join: vc-request\r\nContent-Type: text/plain\r\n\r\nSecure-Join: vc-request'),
    ],
    ['forced cleartext', sample('x0018-plain-mail-with-force_encryption-0.eml')],
  ] as const) {
    assert.ok(!asks(message), name);
  }
});

const header = (...lines: string[]) => parseHeader(Buffer.from(`${lines.join('\r\n')}\r\n\r\nbody`));

test('a bounce is known by author, type and Auto-Submitted together', () => {
  const from = 'From: Mail Delivery System <MAILER-DAEMON@other.test>';
  const type = 'Content-Type: multipart/report; report-type=delivery-status; boundary="x"';
  const auto = 'Auto-Submitted: auto-replied';
  for (const [lines, bounce] of [
    [[from, type, auto], true],
    [[from.replace('MAILER', 'Mailer'), type.replace('multi', 'Multi'), auto], true],
    [[from, type, 'auto-submitted: auto-generated (rejected)'], true],
    [[from, type], false],
    [[from, type, 'Auto-Submitted:'], false],
    [[from.replace('MAILER', 'postmaster'), type, auto], false],
    [[from.replace('MAILER-DAEMON', 'x.mailer-daemon'), type, auto], false],
    [['From: "MAILER-DAEMON@other.test" <mallory@other.test>', type, auto], false],
    [[from, from, type, auto], false],
    [[type, auto], false],
    [[from, 'Content-Type: text/plain', auto], false],
    [[from, 'Content-Type: text/plain', type, auto], false],
    [[from, auto], false],
  ] as const) {
    assert.equal(isBounce(header(...lines)), bounce, lines.join(' | '));
  }
});

test('an Autocrypt Setup Message is one from its sender to its sender', () => {
  const subject = 'Subject: Autocrypt Setup Message';
  const type = 'Content-Type: multipart/mixed; boundary="x"';
  for (const [lines, recipients, setup] of [
    [[subject, type], ['alice@chat.test'], true],
    [[subject, type], ['Alice@Chat.test'], true],
    [[subject, type], ['bob@chat.test'], false],
    [[subject, type], ['alice@chat.test', 'alice@chat.test'], false],
    [[subject, type], ['alice@chat.test', 'bob@chat.test'], false],
    [[subject, type], [], false],
    [[type], ['alice@chat.test'], false],
    [['Subject: autocrypt setup message', type], ['alice@chat.test'], false],
    [[subject, 'Subject: x', type], ['alice@chat.test'], false],
    [[subject, 'Content-Type: text/plain'], ['alice@chat.test'], false],
    [[subject], ['alice@chat.test'], false],
  ] as const) {
    assert.equal(isSetupMessage(header(...lines), 'alice@chat.test', recipients), setup, lines.join(' | '));
  }
});
