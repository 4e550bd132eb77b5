import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCommand } from '../../../src/imap/wire/parse-command.ts';
import { commandOf, parseText, problemOf } from '../../harness/imap-command.ts';
import type { Pieces } from '../../harness/imap-command.ts';
import { assertLinear } from '../../harness/linear.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const one = [{ from: 1, to: 1 }];

const understood: readonly (readonly [Pieces, unknown])[] = [
  // Session.
  [['CAPABILITY'], { name: 'CAPABILITY' }],
  [['noop  '], { name: 'NOOP' }],
  [['Idle'], { name: 'IDLE' }],
  [['ID NIL'], { name: 'ID', fields: undefined }],
  [['ID ("name" "Delta Chat")'], { name: 'ID', fields: new Map([['name', 'Delta Chat']]) }],
  [
    ['ID ("Name" NIL "version" "1" )'],
    {
      name: 'ID',
      fields: new Map([
        ['name', undefined],
        ['version', '1'],
      ]),
    },
  ],
  [['ID ()'], { name: 'ID', fields: new Map() }],
  [['ENABLE condstore X-Y'], { name: 'ENABLE', capabilities: ['CONDSTORE', 'X-Y'] }],
  [['COMPRESS DEFLATE'], { name: 'COMPRESS', mechanism: 'DEFLATE' }],
  // Login, as Delta Chat quotes it; then atoms, literals and UTF-8.
  [
    ['LOGIN "zn3zossaq@_r1.test" "p\\"q\\\\ (){%*"'],
    { name: 'LOGIN', username: 'zn3zossaq@_r1.test', password: 'p"q\\ (){%*' },
  ],
  [['LOGIN  u@x   p]w '], { name: 'LOGIN', username: 'u@x', password: 'p]w' }],
  [['LOGIN ', 'u@x', ' ', 'p\r\nw', ''], { name: 'LOGIN', username: 'u@x', password: 'p\r\nw' }],
  [['LOGIN u "\xc3\xa9"'], { name: 'LOGIN', username: 'u', password: 'é' }],
  [['LOGIN NIL NIL'], { name: 'LOGIN', username: 'NIL', password: 'NIL' }],
  [['AUTHENTICATE PLAIN'], { name: 'AUTHENTICATE', mechanism: 'PLAIN' }],
  [['AUTHENTICATE plain AGEAYg=='], { name: 'AUTHENTICATE', mechanism: 'PLAIN', initial: 'AGEAYg==' }],
  [['AUTHENTICATE PLAIN ='], { name: 'AUTHENTICATE', mechanism: 'PLAIN', initial: '' }],
  // Mailboxes.
  [['SELECT "INBOX"'], { name: 'SELECT', mailbox: 'INBOX', condstore: false }],
  [['SELECT inbox'], { name: 'SELECT', mailbox: 'INBOX', condstore: false }],
  [['SELECT "INBOX" (CONDSTORE)'], { name: 'SELECT', mailbox: 'INBOX', condstore: true }],
  [['EXAMINE "INBOX.DeltaChat"'], { name: 'EXAMINE', mailbox: 'INBOX.DeltaChat', condstore: false }],
  [['SELECT "Entw&APw-rfe"'], { name: 'SELECT', mailbox: 'Entwürfe', condstore: false }],
  [['SELECT "Entw\xc3\xbcrfe"'], { name: 'SELECT', mailbox: 'Entwürfe', condstore: false }],
  [['CREATE ', 'a b', ''], { name: 'CREATE', mailbox: 'a b' }],
  [['RENAME a "b/c"'], { name: 'RENAME', from: 'a', to: 'b/c' }],
  [['STATUS "INBOX" (UIDNEXT)'], { name: 'STATUS', mailbox: 'INBOX', items: ['UIDNEXT'] }],
  [
    ['STATUS x ( messages UNSEEN MESSAGES )'],
    { name: 'STATUS', mailbox: 'x', items: ['MESSAGES', 'UNSEEN'] },
  ],
  [['LIST "" *'], { name: 'LIST', reference: '', patterns: ['*'], selection: [], returns: [], status: [] }],
  [
    ['LIST (SUBSCRIBED recursivematch) "" ("%" a/*) RETURN (CHILDREN STATUS (MESSAGES) X-Y (a (b) "c"))'],
    {
      name: 'LIST',
      reference: '',
      patterns: ['%', 'a/*'],
      selection: ['SUBSCRIBED', 'RECURSIVEMATCH'],
      returns: ['CHILDREN', 'STATUS', 'X-Y'],
      status: ['MESSAGES'],
    },
  ],
  [
    ['LIST "" "*" RETURN (SPECIAL-USE)'],
    { name: 'LIST', reference: '', patterns: ['*'], selection: [], returns: ['SPECIAL-USE'], status: [] },
  ],
  [['LSUB "" "*"'], { name: 'LSUB', reference: '', pattern: '*' }],
  [['LSUB "" ""'], { name: 'LSUB', reference: '', pattern: '' }],
  // Messages.
  [['APPEND INBOX ', 'a\r\n', ''], { name: 'APPEND', mailbox: 'INBOX', flags: [], message: bytes('a\r\n') }],
  [
    ['APPEND "x" (\\seen $Forwarded \\Recent \\SEEN) " 1-Jul-1996 02:44:25 +0000" ', 'a', ' '],
    {
      name: 'APPEND',
      mailbox: 'x',
      flags: ['\\Seen', '$Forwarded'],
      internalDate: Date.UTC(1996, 6, 1, 2, 44, 25),
      message: bytes('a'),
    },
  ],
  [['EXPUNGE'], { name: 'EXPUNGE' }],
  [['UID EXPUNGE 1'], { name: 'EXPUNGE', set: one }],
  [
    ['UID STORE 1 +FLAGS (\\Deleted)'],
    { name: 'STORE', uid: true, set: one, action: 'add', silent: false, flags: ['\\Deleted'] },
  ],
  [
    ['UID STORE 1 (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Seen)'],
    {
      name: 'STORE',
      uid: true,
      set: one,
      action: 'add',
      silent: true,
      flags: ['\\Seen'],
      unchangedSince: 12,
    },
  ],
  [
    ['store 1 -flags \\Seen  x'],
    { name: 'STORE', uid: false, set: one, action: 'remove', silent: false, flags: ['\\Seen', 'x'] },
  ],
  [
    ['STORE 1 FLAGS.SILENT ()'],
    { name: 'STORE', uid: false, set: one, action: 'set', silent: true, flags: [] },
  ],
  [
    ['UID COPY 1,3:4 "a"'],
    {
      name: 'COPY',
      uid: true,
      set: [
        { from: 1, to: 1 },
        { from: 3, to: 4 },
      ],
      mailbox: 'a',
    },
  ],
  [['MOVE 1 b'], { name: 'MOVE', uid: false, set: one, mailbox: 'b' }],
  // Fetch: macros, and what is asked twice comes once.
  [
    ['FETCH 1 FAST'],
    {
      name: 'FETCH',
      uid: false,
      set: one,
      items: [{ kind: 'FLAGS' }, { kind: 'INTERNALDATE' }, { kind: 'RFC822.SIZE' }],
    },
  ],
  [
    ['UID FETCH 1:* (FLAGS flags) (CHANGEDSINCE 0)'],
    { name: 'FETCH', uid: true, set: [{ from: 1, to: '*' }], items: [{ kind: 'FLAGS' }], changedSince: 0 },
  ],
  [
    ['FETCH 1 (BODY.PEEK[] BODY[])'],
    {
      name: 'FETCH',
      uid: false,
      set: one,
      items: [
        { kind: 'SECTION', peek: false, section: { part: [], what: 'whole', fields: [] }, label: 'BODY[]' },
      ],
    },
  ],
  // Quota and metadata.
  [['GETQUOTA ""'], { name: 'GETQUOTA', root: '' }],
  [['GETQUOTAROOT "INBOX"'], { name: 'GETQUOTAROOT', mailbox: 'INBOX' }],
  [
    ['SETQUOTA "" (STORAGE 512)'],
    { name: 'SETQUOTA', root: '', limits: [{ resource: 'STORAGE', limit: 512 }] },
  ],
  [
    ['GETMETADATA "" (/shared/comment /Shared/Admin /shared/vendor/deltachat/irohrelay)'],
    {
      name: 'GETMETADATA',
      mailbox: '',
      entries: ['/shared/comment', '/shared/admin', '/shared/vendor/deltachat/irohrelay'],
      depth: 0,
    },
  ],
  [
    ['GETMETADATA (MAXSIZE 1024 DEPTH infinity) "" ( /shared/comment )'],
    { name: 'GETMETADATA', mailbox: '', entries: ['/shared/comment'], depth: 'infinity', maxSize: 1024 },
  ],
  [
    ['GETMETADATA "INBOX" (DEPTH 1) /private/devicetoken'],
    { name: 'GETMETADATA', mailbox: 'INBOX', entries: ['/private/devicetoken'], depth: 1 },
  ],
  [
    ['GETMETADATA INBOX ("/private/x" "/private/x" ', '/private/y', ')'],
    { name: 'GETMETADATA', mailbox: 'INBOX', entries: ['/private/x', '/private/y'], depth: 0 },
  ],
  ...(
    [
      ['SETMETADATA "INBOX" (/private/devicetoken "openpgp:AAAA")'],
      ['SETMETADATA INBOX (/private/devicetoken "openpgp:AAAA" )'],
      ['SETMETADATA inbox ( /private/devicetoken   "openpgp:AAAA")  '],
      ['SETMETADATA "INBOX" (/private/devicetoken ', 'openpgp:AAAA', ')'],
      ['SETMETADATA "INBOX" (/private/devicetoken ~', 'openpgp:AAAA', ' )'],
      ['SETMETADATA "INBOX" ("/PRIVATE/devicetoken" "openpgp:AAAA")'],
    ] as const
  ).map(
    (pieces) =>
      [
        pieces,
        {
          name: 'SETMETADATA',
          mailbox: 'INBOX',
          entries: [{ entry: '/private/devicetoken', value: bytes('openpgp:AAAA') }],
        },
      ] as const,
  ),
  [
    ['SETMETADATA "" (/private/a NIL /private/b "")'],
    {
      name: 'SETMETADATA',
      mailbox: '',
      entries: [
        { entry: '/private/a', value: undefined },
        { entry: '/private/b', value: bytes('') },
      ],
    },
  ],
];

test('every command is understood, in the forms that clients send', () => {
  for (const [pieces, expected] of understood)
    assert.deepEqual(commandOf(...pieces), expected, pieces.join('|'));
});

test('tags are kept as they are; without a good one the answer has none', () => {
  for (const tag of ['A0001', 'a.b-c', '*'.replace('*', '1'), '}]', 'a'.repeat(100)])
    assert.deepEqual(parseText(`${tag} NOOP`), { tag, command: { name: 'NOOP' } });
  for (const line of [
    '',
    ' ',
    ' a NOOP',
    '* NOOP',
    '+ NOOP',
    'a+b NOOP',
    '"a" NOOP',
    `${'a'.repeat(101)} NOOP`,
    '\xe9 NOOP',
    'a\0 NOOP',
  ])
    assert.deepEqual(parseText(line), { problem: 'Invalid tag' }, line);
  assert.deepEqual(parseText('a', 'literal', ' NOOP'), { problem: 'Invalid tag' });
  assert.deepEqual(parseText('a'), { tag: 'a', problem: 'Missing command' });
});

test('what no client of good will sends is a clean BAD', () => {
  const bad: readonly (readonly [Pieces, string])[] = [
    [['XYZZY'], 'Unknown command'],
    [['DONE'], 'Unknown command'],
    [['UID NOOP'], 'Unknown UID command'],
    [['UID'], 'Missing argument'],
    [['NOOP x'], 'Unexpected text after the command'],
    [['NOOP', 'x', ''], 'Unexpected text after the command'],
    [['LOGIN'], 'Missing argument'],
    [['LOGIN a'], 'Missing argument'],
    [['LOGIN a "b'], 'Expected a password'],
    [['LOGIN a "b\\c"'], 'Expected a password'],
    [['LOGIN a b c'], 'Unexpected text after the command'],
    [['LOGIN a p%w'], 'Unexpected text after the command'],
    [['LOGIN a "\xff"'], 'A string is not UTF-8'],
    [['LOGIN a ', 'b\0', ''], 'A literal must not hold NUL'],
    [['LOGIN a (b)'], 'Expected a password'],
    [['AUTHENTICATE PLAIN ***'], 'Initial response is not base64'],
    [['ID'], 'Missing argument'],
    [['ID x'], 'Expected ('],
    [['ID ("name")'], 'Expected a space'],
    [[`ID (${'"a" "b" '.repeat(31)})`], 'Too many elements in a list'],
    [['SELECT'], 'Missing argument'],
    [['SELECT "a" (QRESYNC (1 2))'], 'Unknown SELECT parameter'],
    [['SELECT "a" ()'], 'A list must not be empty'],
    [['SELECT "&"'], 'Mailbox name is not valid modified UTF-7'],
    [['SELECT "a\x01b"'], 'Invalid mailbox name'],
    [[`SELECT ${'x'.repeat(1001)}`], 'Mailbox name too long'],
    [['CREATE a (USE (\\Sent))'], 'Unexpected text after the command'],
    [['STATUS a ()'], 'A list must not be empty'],
    [['STATUS a (X)'], 'Unknown status item'],
    [['STATUS a MESSAGES'], 'Expected ('],
    [['LIST "" (' + '* '.repeat(21) + ')'], 'Too many elements in a list'],
    [[`LIST "" * RETURN (X ${'('.repeat(12)}${')'.repeat(12)})`], 'Brackets too deep'],
    [['APPEND INBOX "text"'], 'Invalid date-time'],
    [['APPEND INBOX "31-Feb-2020 00:00:00 +0000" ', 'x', ''], 'Invalid date-time'],
    [['APPEND INBOX (\\Foo) ', 'x', ''], 'Unknown system flag'],
    [['APPEND INBOX ', 'x', ' ', 'y', ''], 'Unexpected text after the command'],
    [['APPEND INBOX ', 'x\0', ''], 'A literal must not hold NUL'],
    [['STORE 1 FLAGS'], 'Expected a flag'],
    [['STORE 1 FLAGSX (\\Seen)'], 'Expected FLAGS'],
    [['STORE 1 (X 1) FLAGS ()'], 'Unknown STORE modifier'],
    [[`STORE 1 FLAGS (${'x '.repeat(65)})`], 'Too many elements in a list'],
    [[`STORE 1 FLAGS ${'x '.repeat(65)}`], 'Too many flags'],
    [[`STORE 1 FLAGS ${'x'.repeat(101)}`], 'Flag too long'],
    [['FETCH 0 FLAGS'], 'Invalid sequence set'],
    [['FETCH 1 ()'], 'A list must not be empty'],
    [['FETCH 1 (ALL)'], 'Unknown FETCH item'],
    [['FETCH 1 FLAGS (X 1)'], 'Unknown FETCH modifier'],
    [[`FETCH 1 (${'UID '.repeat(51)})`], 'Too many elements in a list'],
    [['SEARCH'], 'Missing argument'],
    [['SEARCH ()'], 'A list must not be empty'],
    [['SEARCH SEEN)'], 'Expected a search key'],
    [['SEARCH OR SEEN'], 'Missing argument'],
    [['SEARCH NOT'], 'Missing argument'],
    [['SEARCH SINCE yesterday'], 'Invalid date'],
    [['SEARCH $'], 'Unknown search key'],
    [['GETMETADATA "" ()'], 'A list must not be empty'],
    [['GETMETADATA "" shared'], 'Invalid entry name'],
    [['GETMETADATA "" (/shared/a MAXSIZE 1)'], 'Invalid entry name'],
    [['GETMETADATA "" /a/'], 'Invalid entry name'],
    [['GETMETADATA "" "/a/*"'], 'Invalid entry name'],
    [['GETMETADATA (DEPTH 2) "" /a'], 'Unknown depth'],
    [['GETMETADATA (X 2) "" /a'], 'Unknown GETMETADATA option'],
    [['SETMETADATA INBOX ()'], 'A list must not be empty'],
    [['SETMETADATA INBOX (/a)'], 'Expected a space'],
    [['SETMETADATA INBOX (/a b)'], 'Expected a value'],
    [['SETMETADATA INBOX (/a ~"b")'], 'Expected a value'],
  ];
  for (const [pieces, expected] of bad) assert.equal(problemOf(...pieces), expected, pieces.join('|'));
});

test('the lines that end the process of imap-core end nothing here', () => {
  // wildduck.md 2.4, all 23: true is a command, false a BAD.
  const lines: readonly (readonly [string, boolean])[] = [
    ['LOGIN NIL NIL', true],
    ['ID (NIL NIL)', false],
    ['ID ("name" NIL)', true],
    ['LSUB "" ""', true],
    ['ENABLE', false],
    ['LIST (NIL) "" "*"', true],
    ['LIST "" "*" RETURN (NIL)', true],
    ['LIST (SPECIAL-USE) "" "*" NIL', false],
    ['APPEND NIL', false],
    ['APPEND INBOX NIL', false],
    ['APPEND INBOX NIL NIL', false],
    ['APPEND INBOX (NIL) NIL', false],
    ['APPEND INBOX (\\Seen) NIL NIL', false],
    ['APPEND NIL NIL NIL NIL', false],
    ['SEARCH NIL', false],
    ['SEARCH CHARSET NIL', false],
    ['SEARCH CHARSET NIL NIL', false],
    ['SEARCH NOT NIL', false],
    ['SEARCH (NIL)', false],
    ['SEARCH BODY', false],
    ['FETCH 1 NIL', false],
    ['FETCH 1 BODY[NIL]', false],
    ['FETCH 1 BODY[HEADER.FIELDS (NIL)]', true],
  ];
  for (const [line, good] of lines) assert.equal('command' in parseText(`a ${line}`), good, line);
  // And every command with its arguments taken away one by one, or NIL or an empty list in their place.
  for (const [[first, ...rest]] of understood) {
    const words = first.split(' ');
    words.forEach((_, at) => {
      for (const other of [[], ['NIL'], ['()'], ['(NIL)'], ['""']])
        parseText(['a', ...words.slice(0, at), ...other, ...words.slice(at + 1)].join(' '), ...rest);
    });
  }
});

test('no problem repeats what the client sent', () => {
  for (const line of [
    'LOGIN user hunter2 hunter2',
    'LOGIN (hunter2)',
    'LOGIN "hunter2',
    'hunter2',
    'SELECT a hunter2',
    'SETMETADATA INBOX (hunter2 x)',
  ])
    assert.doesNotMatch(problemOf(line), /hunter2/);
});

test('long lines cost no more than linear time', () => {
  const lines: readonly ((size: number) => string)[] = [
    (size) => `LOGIN "${'\\"'.repeat(size / 2)}`,
    (size) => `SEARCH ${'('.repeat(size)}`,
    (size) => `FETCH 1 BODY[HEADER.FIELDS (${'a '.repeat(size / 2)}`,
    (size) => `FETCH ${'1,'.repeat(size / 2)}1 FLAGS`,
    (size) => `SELECT "${'&AOQ-'.repeat(size / 5)}"`,
    (size) => `NOOP${' '.repeat(size)}`,
    (size) => `LIST "" "${'%'.repeat(size)}`,
    (size) => `x${'y'.repeat(size)} `,
    (size) => `GETMETADATA "" ${'/a'.repeat(size / 2)}/`,
  ];
  for (const line of lines) {
    assertLinear(
      line(10),
      8 * 1024,
      (size) => Array.from({ length: 20 }, () => [Buffer.from(`t ${line(size)}`)]),
      (commands) => commands.forEach((pieces) => parseCommand(pieces)),
    );
  }
});
