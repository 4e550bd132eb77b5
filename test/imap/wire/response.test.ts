import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Piece } from '../../../src/imap/wire/response.ts';
import {
  bytesOf,
  codes,
  continuation,
  fetchEnd,
  fetchItems,
  fetchLine,
  fetchStart,
  lineOf,
  nstringOf,
  sectionOf,
  sectionStart,
  statusLine,
  stringOf,
  untagged,
} from '../../../src/imap/wire/response.ts';
import { readResponses, readValue } from '../../harness/imap-reader.ts';

const latin1 = (piece: Piece) => bytesOf(piece).toString('latin1');

test('a status line has a code and a text that cannot break the line', () => {
  assert.equal(
    latin1(statusLine('A1', 'OK', 'Logged in', codes.capability(['IMAP4rev1', 'ID']))),
    'A1 OK [CAPABILITY IMAP4rev1 ID] Logged in\r\n',
  );
  assert.equal(latin1(statusLine('*', 'BYE', 'a\r\nb é')), '* BYE a??b ?\r\n');
  assert.equal(latin1(statusLine('*', 'OK', '')), '* OK OK\r\n');
  assert.equal(latin1(continuation('idling')), '+ idling\r\n');
});

test('strings are quoted where they may be and literals where they must', () => {
  assert.equal(latin1(stringOf('')), '""');
  assert.equal(latin1(stringOf('a "b" \\ c')), '"a \\"b\\" \\\\ c"');
  assert.equal(latin1(stringOf('a\r\nb')), '{4}\r\na\r\nb');
  assert.equal(latin1(stringOf('é')), '{2}\r\n\xc3\xa9');
  assert.equal(latin1(stringOf(Buffer.from([0xe9]))), '{1}\r\n\xe9');
  assert.equal(latin1(stringOf('x'.repeat(2000))), `{2000}\r\n${'x'.repeat(2000)}`);
  assert.equal(latin1(nstringOf(undefined)), 'NIL');
  assert.equal(latin1(nstringOf('NIL')), '"NIL"');
});

test('every string comes back from an independent parser as it was', async () => {
  for (const text of [
    '',
    'a',
    'a "b" \\',
    'two\r\nlines',
    '\xff\x80',
    'NIL',
    '(x)',
    '{3}',
    '\t',
    'x'.repeat(1500),
  ])
    assert.equal(await readValue(bytesOf(stringOf(Buffer.from(text, 'latin1')))), text);
});

test('codes are written as their RFCs have them', () => {
  assert.equal(codes.permanentFlags(['\\Seen', '\\*']), 'PERMANENTFLAGS (\\Seen \\*)');
  assert.equal(codes.copyUid(7, [1, 2, 3], [4, 5, 9]), 'COPYUID 7 1:3 4:5,9');
  assert.equal(codes.appendUid(7, 12), 'APPENDUID 7 12');
  assert.equal(codes.modified([7, 9]), 'MODIFIED 7,9');
  assert.equal(codes.badCharset(['US-ASCII', 'UTF-8']), 'BADCHARSET (US-ASCII UTF-8)');
  assert.equal(codes.metadataLongEntries(9), 'METADATA LONGENTRIES 9');
  assert.equal(codes.metadataMaxSize(9), 'METADATA MAXSIZE 9');
  assert.equal(
    [codes.uidValidity(1), codes.uidNext(2), codes.unseen(3), codes.highestModseq(4)].join(),
    'UIDVALIDITY 1,UIDNEXT 2,UNSEEN 3,HIGHESTMODSEQ 4',
  );
});

test('a FETCH is the same whether it is written whole or streamed, and reads back', async () => {
  const body = Buffer.from('Subject: x\r\n\r\n\xe9{5}\r\n)\r\n', 'latin1');
  const items = [
    fetchItems.uid(12),
    fetchItems.flags(['\\Seen', '$Junk']),
    fetchItems.size(body.length),
    fetchItems.internalDate(0),
    fetchItems.modseq(99),
  ];
  const whole = fetchLine(3, [...items, sectionOf('BODY[]', body)]);
  const streamed = [fetchStart(3), items.join(' '), ' ', sectionStart('BODY[]', body.length), body, fetchEnd];
  assert.deepEqual(Buffer.concat(streamed.map(bytesOf)), whole);
  assert.deepEqual(await readResponses(whole), [
    {
      tag: '*',
      command: '3',
      attributes: [
        'FETCH',
        [
          'UID',
          '12',
          'FLAGS',
          ['\\Seen', '$Junk'],
          'RFC822.SIZE',
          String(body.length),
          'INTERNALDATE',
          ' 1-Jan-1970 00:00:00 +0000',
          'MODSEQ',
          ['99'],
          { name: 'BODY', section: [] },
          body.toString('latin1'),
        ],
      ],
    },
  ]);
});

test('a section bears the place it begins at, and NIL where there is none', async () => {
  assert.equal(latin1(sectionOf('BODY[TEXT]', Buffer.from('abc'), 5)), 'BODY[TEXT]<5> {3}\r\nabc');
  assert.equal(latin1(sectionOf('BODY[9]', undefined)), 'BODY[9] NIL');
  assert.equal(latin1(sectionOf('BODY[9]', undefined, 0)), 'BODY[9]<0> NIL');
  const [line] = await readResponses(
    fetchLine(1, [
      sectionOf('BODY[HEADER.FIELDS (DATE FROM)]', Buffer.from('\r\n'), 0),
      sectionOf('BODY[2]', undefined),
    ]),
  );
  assert.deepEqual(line?.attributes[1], [
    { name: 'BODY', section: ['HEADER.FIELDS', ['DATE', 'FROM']], partial: [0] },
    '\r\n',
    { name: 'BODY', section: ['2'] },
    null,
  ]);
});

test('untagged data is written as clients read it', async () => {
  const lines: readonly (readonly [Buffer, string])[] = [
    [untagged.capability(['IMAP4rev1', 'IDLE']), '* CAPABILITY IMAP4rev1 IDLE'],
    [untagged.enabled([]), '* ENABLED'],
    [untagged.enabled(['CONDSTORE']), '* ENABLED CONDSTORE'],
    [untagged.exists(3), '* 3 EXISTS'],
    [untagged.recent(0), '* 0 RECENT'],
    [untagged.expunge(2), '* 2 EXPUNGE'],
    [untagged.flags(['\\Seen']), '* FLAGS (\\Seen)'],
    [untagged.search([]), '* SEARCH'],
    [untagged.search([], 5), '* SEARCH'],
    [untagged.search([2, 84]), '* SEARCH 2 84'],
    [untagged.search([2, 84], 917), '* SEARCH 2 84 (MODSEQ 917)'],
    [untagged.list('LIST', ['\\HasNoChildren'], 'a "b" ü'), '* LIST (\\HasNoChildren) "/" "a \\"b\\" &APw-"'],
    [untagged.list('LSUB', [], 'INBOX'), '* LSUB () "/" "INBOX"'],
    [untagged.delimiter(), '* LIST (\\Noselect) "/" ""'],
    [
      untagged.status('x', [
        ['MESSAGES', 1],
        ['UIDNEXT', 2],
      ]),
      '* STATUS "x" (MESSAGES 1 UIDNEXT 2)',
    ],
    [untagged.namespace(), '* NAMESPACE (("" "/")) NIL NIL'],
    [untagged.id([]), '* ID NIL'],
    [untagged.id([['name', 'Teal']]), '* ID ("name" "Teal")'],
    [untagged.quota('User quota', 12, 500), '* QUOTA "User quota" (STORAGE 12 500)'],
    [untagged.quotaRoot('INBOX', 'User quota'), '* QUOTAROOT "INBOX" "User quota"'],
    // client.md 2.6: never an empty list, values as literals.
    [untagged.metadata('', [['/shared/comment', undefined]]), '* METADATA "" (/shared/comment NIL)'],
    [
      untagged.metadata('', [
        ['/shared/a', '{"é"}'],
        ['/shared/b', Buffer.from('')],
      ]),
      '* METADATA "" (/shared/a {6}\r\n{"\xc3\xa9"} /shared/b {0}\r\n)',
    ],
  ];
  for (const [bytes, text] of lines) assert.equal(bytes.toString('latin1'), `${text}\r\n`);
  // And imapflow reads all of them in a row.
  const read = await readResponses(Buffer.concat(lines.map(([bytes]) => bytes)));
  assert.equal(read.length, lines.length);
  assert.deepEqual(read.at(-1)?.attributes, ['', ['/shared/a', '{"\xc3\xa9"}', '/shared/b', '']]);
});

test('lineOf writes strings byte for character', () => {
  assert.deepEqual(lineOf('\xe9', Buffer.from([0xff])), Buffer.from([0xe9, 0xff, 0x0d, 0x0a]));
});
