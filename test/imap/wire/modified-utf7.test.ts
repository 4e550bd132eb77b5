import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeUtf7, encodeUtf7 } from '../../../src/imap/wire/modified-utf7.ts';

test('names are written and read as RFC 3501 5.1.3 has it', () => {
  for (const [name, text] of [
    ['INBOX', 'INBOX'],
    ['', ''],
    ['A&B', 'A&-B'],
    ['&&', '&-&-'],
    ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
    ['Entwürfe', 'Entw&APw-rfe'],
    ['😀', '&2D3eAA-'],
    ['a\tb', 'a&AAk-b'],
    ['\\"', '\\"'],
  ] as const) {
    assert.equal(encodeUtf7(name), text);
    assert.equal(decodeUtf7(text), name);
  }
});

test('what is not modified UTF-7 is refused, so that a name has one spelling', () => {
  for (const bad of [
    '&',
    'a&b',
    '&U,BTFw',
    '&U/BTFw-', // `/` for `,`
    '&AGE-', // a printable letter in base64
    '&AA-', // half a character
    '&APx-', // bits left over
    '&2D0-', // half of a pair
    '&A-',
    '&AAA=-',
    'é',
    'a\r\nb',
    'a\0',
    '& -',
  ])
    assert.equal(decodeUtf7(bad), undefined, bad);
});

test('lone surrogates become the replacement character', () => {
  assert.equal(decodeUtf7(encodeUtf7('a\ud800b')), 'a\ufffdb');
});
