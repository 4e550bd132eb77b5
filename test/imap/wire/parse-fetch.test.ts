import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandOf, problemOf } from '../../harness/imap-command.ts';

test('the prefetch of Delta Chat is understood', () => {
  const names =
    'MESSAGE-ID DATE X-MICROSOFT-ORIGINAL-MESSAGE-ID FROM CONTENT-TYPE SECURE-JOIN CHAT-VERSION CHAT-IS-POST-MESSAGE AUTOCRYPT-SETUP-MESSAGE';
  assert.deepEqual(commandOf(`UID FETCH 1:500 (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (${names})])`), {
    name: 'FETCH',
    uid: true,
    set: [{ from: 1, to: 500 }],
    items: [
      { kind: 'UID' },
      { kind: 'RFC822.SIZE' },
      {
        kind: 'SECTION',
        peek: true,
        section: { part: [], what: 'header-fields', fields: names.toLowerCase().split(' ') },
        label: `BODY[HEADER.FIELDS (${names})]`,
      },
    ],
  });
});

test('sections name a part and what is wanted of it', () => {
  const section = (text: string) => {
    const parsed = commandOf(`FETCH 1 ${text}`);
    assert.ok(parsed.name === 'FETCH');
    const [item] = parsed.items;
    assert.ok(item?.kind === 'SECTION');
    const { section: found, partial, peek, label } = item;
    return [found.part.join('.'), found.what, found.fields.join(), peek, label, partial];
  };
  assert.deepEqual(section('body[]'), ['', 'whole', '', false, 'BODY[]', undefined]);
  assert.deepEqual(section('BODY.PEEK[HEADER]<0.10>'), [
    '',
    'header',
    '',
    true,
    'BODY[HEADER]',
    { start: 0, length: 10 },
  ]);
  assert.deepEqual(section('BODY[TEXT]'), ['', 'text', '', false, 'BODY[TEXT]', undefined]);
  assert.deepEqual(section('BODY[1.2]'), ['1.2', 'whole', '', false, 'BODY[1.2]', undefined]);
  assert.deepEqual(section('BODY[1.2.mime]'), ['1.2', 'mime', '', false, 'BODY[1.2.MIME]', undefined]);
  assert.deepEqual(section('BODY[3.HEADER]'), ['3', 'header', '', false, 'BODY[3.HEADER]', undefined]);
  assert.deepEqual(section('BODY[2.HEADER.FIELDS.NOT (To "x(y" )]'), [
    '2',
    'header-fields-not',
    'to,x(y',
    false,
    'BODY[2.HEADER.FIELDS.NOT (To "x(y")]',
    undefined,
  ]);
  assert.deepEqual(section('RFC822'), ['', 'whole', '', false, 'RFC822', undefined]);
  assert.deepEqual(section('RFC822.HEADER'), ['', 'header', '', true, 'RFC822.HEADER', undefined]);
  assert.deepEqual(section('RFC822.TEXT'), ['', 'text', '', false, 'RFC822.TEXT', undefined]);
  for (const bad of [
    'BODY[',
    'BODY[0]',
    'BODY[1.]',
    'BODY[.1]',
    'BODY[1 2]',
    'BODY[MIME]',
    'BODY[1MIME]',
    'BODY[1TEXT]',
    'BODY[TEXT.1]',
    'BODY[HEADER.FIELDS]',
    'BODY[HEADER.FIELDS ()]',
    'BODY[HEADER.FIELDS (a:b)]',
    'BODY[HEADER.FIELDS ("a b")]',
    'BODY[]<1>',
    'BODY[]<1.0>',
    'BODY[]<-1.5>',
    'BODY []',
    'BODY.PEEK',
    'BODY[NIL]',
    `BODY[${'1.'.repeat(60)}1]`,
  ])
    problemOf(`FETCH 1 ${bad}`);
});
