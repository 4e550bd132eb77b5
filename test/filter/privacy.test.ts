import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanDelivery, cleanSubmission } from '../../src/filter/privacy.ts';
import { parseHeader } from '../../src/message/header.ts';

const submitted = (text: string) => clean(cleanSubmission, text);
const delivered = (text: string) => clean(cleanDelivery, text);

function clean(edit: typeof cleanDelivery, text: string): string {
  const message = Buffer.from(text, 'latin1');
  return edit(message, parseHeader(message)).toString('latin1');
}

const kept = 'From: a@b\r\nX:  odd \t\r\n  space\xe9\r\n';
const trace = [
  'Received: from x by y;\r\n\tnow\r\n',
  'DKIM-Signature: v=1;\r\n b=abc\r\n',
  'dkim-signature: v=1\r\n',
  'AUTHENTICATION-RESULTS: x; dkim=pass\r\n',
];
const tellTale = ['X-Originating-IP: [192.0.2.1]\r\n', 'x-mailer: M\r\n', 'User-Agent:\r\n M\r\n'];
const body = '\r\nReceived: in the body\r\nSubject: in the body\r\nbare\nlines\r\xff';

test('a submitted message loses what tells of its sender, and every subject', () => {
  for (const line of [...trace, ...tellTale]) {
    assert.equal(submitted(kept + line + body), kept + body, line);
    assert.equal(submitted(line + kept + line + body), kept + body, line);
  }
  assert.equal(submitted([...trace, kept, ...tellTale, body].join('')), kept + body);
  for (const subject of [
    'Subject: secret',
    'SUBJECT:secret',
    'Subject: a\r\n folded\r\n\tsecret',
    'Subject:',
    'Subject : x',
  ]) {
    assert.equal(submitted(`${subject}\r\n${kept}${body}`), `Subject: [...]\r\n${kept}${body}`, subject);
  }
  assert.equal(
    submitted(`Subject: a\r\n${kept}subject: b\r\n${body}`),
    `Subject: [...]\r\n${kept}Subject: [...]\r\n${body}`,
    'every subject',
  );
  assert.equal(submitted(kept + body), kept + body, 'no subject is added');
});

test('a delivered message loses its trace and signatures, and nothing else', () => {
  const told = [...tellTale, 'Subject: public\r\n', 'ARC-Seal: i=1\r\n', 'Return-Path: <a@b>\r\n'].join('');
  assert.equal(delivered([...trace, kept, told, ...trace, body].join('')), kept + told + body);
});

test('where there is nothing to edit the very same buffer comes back', () => {
  const message = Buffer.from(`Subject: [...]\r\n${kept}${body}`, 'latin1');
  assert.equal(cleanSubmission(message, parseHeader(message)), message);
  assert.equal(cleanDelivery(message, parseHeader(message)), message);
});
