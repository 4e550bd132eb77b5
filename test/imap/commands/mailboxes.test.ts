import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startImap } from '../../harness/imap-server.ts';

test('mailboxes are made, listed, renamed and removed', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  const steps: [string, string, string[]?][] = [
    ['CREATE DeltaChat', 'OK'],
    ['CREATE DeltaChat', 'NO [ALREADYEXISTS]'],
    ['CREATE a/b/c', 'OK'],
    ['CREATE a/d/', 'OK'],
    ['CREATE inbox', 'NO [ALREADYEXISTS]'],
    ['CREATE "x*y"', 'NO [CANNOT]'],
    ['CREATE "x//y"', 'NO [CANNOT]'],
    ['CREATE "/x"', 'NO [CANNOT]'],
    ['CREATE "M&APw-ll"', 'OK'],
    ['LIST "" ""', 'OK', ['* LIST (\\Noselect) "/" ""']],
    [
      'LIST "" *',
      'OK',
      [
        '* LIST (\\HasNoChildren) "/" "INBOX"',
        '* LIST (\\HasNoChildren) "/" "DeltaChat"',
        '* LIST (\\HasNoChildren) "/" "M&APw-ll"',
        '* LIST (\\Noselect \\HasChildren) "/" "a"',
        '* LIST (\\Noselect \\HasChildren) "/" "a/b"',
        '* LIST (\\HasNoChildren) "/" "a/b/c"',
        '* LIST (\\HasNoChildren) "/" "a/d"',
      ],
    ],
    [
      'LIST "a/" %',
      'OK',
      ['* LIST (\\Noselect \\HasChildren) "/" "a/b"', '* LIST (\\HasNoChildren) "/" "a/d"'],
    ],
    ['LIST "" inb%', 'OK', ['* LIST (\\HasNoChildren) "/" "INBOX"']],
    ['EXAMINE "INBOX.DeltaChat"', 'NO [NONEXISTENT]'],
    ['SUBSCRIBE a/b/c', 'OK'],
    ['SUBSCRIBE none', 'NO [NONEXISTENT]'],
    ['UNSUBSCRIBE INBOX', 'OK'],
    ['LSUB "" *', 'OK', ['* LSUB () "/" "a/b/c"']],
    ['LSUB "" %', 'OK', ['* LSUB (\\Noselect) "/" "a"']],
    ['LIST (SUBSCRIBED) "" *', 'OK', ['* LIST (\\HasNoChildren \\Subscribed) "/" "a/b/c"']],
    ['LIST (WHATEVER) "" *', 'BAD'],
    ['UNSUBSCRIBE a/b/c', 'OK'],
    ['LSUB "" *', 'OK', []],
    ['RENAME a z/y', 'OK'],
    [
      'LIST "" z*',
      'OK',
      [
        '* LIST (\\Noselect \\HasChildren) "/" "z"',
        '* LIST (\\Noselect \\HasChildren) "/" "z/y"',
        '* LIST (\\Noselect \\HasChildren) "/" "z/y/b"',
        '* LIST (\\HasNoChildren) "/" "z/y/b/c"',
        '* LIST (\\HasNoChildren) "/" "z/y/d"',
      ],
    ],
    ['RENAME z/y/d DeltaChat', 'NO [ALREADYEXISTS]'],
    ['RENAME z/y z/y/q', 'NO [CANNOT]'],
    ['RENAME INBOX other', 'NO [CANNOT]'],
    ['RENAME none other', 'NO [NONEXISTENT]'],
    ['DELETE INBOX', 'NO [CANNOT]'],
    ['DELETE none', 'NO [NONEXISTENT]'],
    ['DELETE z/y/d', 'OK'],
    ['STATUS z/y/d (MESSAGES)', 'NO [NONEXISTENT]'],
    ['NAMESPACE', 'OK', ['* NAMESPACE (("" "/")) NIL NIL']],
    ['SELECT DeltaChat', 'OK [READ-WRITE]'],
  ];
  for (const [command, expected, lines] of steps) {
    const { status, text, untagged } = await client.command(command);
    assert.ok(`${status} ${text}`.startsWith(expected), `${command}: ${status} ${text}`);
    if (lines) {
      if (command.includes('*')) assert.deepEqual([...untagged].sort(), [...lines].sort(), command);
      else assert.deepEqual(untagged, lines, command);
    }
  }
});

test('there are as many mailboxes as the store allows, with deep names within bounds', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  for (let count = 1; count < 100; count += 1) await client.command(`CREATE box${count}`);
  assert.match((await client.command('CREATE onemore')).text, /^\[LIMIT\]/);
  for (const name of ['x'.repeat(256), Array(11).fill('x').join('/')]) {
    assert.match((await client.command(`CREATE ${name}`)).text, /^\[CANNOT\]/);
  }
});

test('STATUS counts; APPEND, COPY and MOVE keep bytes and flags and say the new UIDs', async () => {
  await using imap = await startImap({ quota: 100_000 });
  await using client = await imap.login();
  const mail = 'Subject: x\r\n\r\n\xe4\xf6\xfc\r\n';
  const bytes = Buffer.from(mail, 'latin1');
  await client.command('CREATE box');
  const date = '" 2-Jan-2020 03:04:05 +0000"';
  const first = await client.command(`APPEND INBOX (\\seen $Label) ${date} `, bytes, '');
  assert.match(first.text, /^\[APPENDUID \d+ 1\] /);
  assert.match((await client.command('APPEND INBOX +', bytes, '')).text, /^\[APPENDUID \d+ 2\] /);
  assert.deepEqual((await client.command('STATUS INBOX (MESSAGES UNSEEN UIDNEXT RECENT SIZE)')).untagged, [
    `* STATUS "INBOX" (MESSAGES 2 UNSEEN 1 UIDNEXT 3 RECENT 0 SIZE ${2 * bytes.length})`,
  ]);
  await client.command('SELECT INBOX');
  const copied = await client.command('COPY 1:2 box');
  assert.match(copied.text, /^\[COPYUID \d+ 1:2 1:2\] /);
  const moved = await client.command('UID MOVE 1 box');
  assert.match(moved.untagged[0] ?? '', /^\* OK \[COPYUID \d+ 1 3\] /);
  assert.deepEqual(moved.untagged.slice(1), ['* 1 EXPUNGE']);
  await client.command('SELECT box');
  const { untagged } = await client.command('FETCH 3 (FLAGS INTERNALDATE BODY.PEEK[])');
  assert.deepEqual(untagged, [
    `* 3 FETCH (FLAGS (\\Seen $Label) INTERNALDATE ${date} BODY[] {${bytes.length}}\r\n${mail})`,
  ]);

  const refusals: [string, string | Buffer, RegExp][] = [
    ['APPEND none ', bytes, /^NO \[TRYCREATE\]/],
    ['APPEND INBOX ', '', /^NO \[CANNOT\]/],
    ['APPEND INBOX ', 'a\0b', /^BAD .*NUL/],
    ['APPEND INBOX ', Buffer.alloc(200_000, 'x'), /^NO \[OVERQUOTA\]/],
  ];
  for (const [command, literal, expected] of refusals) {
    const answer = await client.command(command, literal, '');
    assert.match(`${answer.status} ${answer.text}`, expected);
  }
  assert.match((await client.command('COPY 1 none')).text, /^\[TRYCREATE\]/);
  assert.equal((await client.command('COPY 9 INBOX')).status, 'BAD');
  assert.equal((await client.command('UID COPY 99 INBOX')).text, 'No messages');
});

test('a mailbox opened by EXAMINE cannot be changed', async () => {
  await using imap = await startImap();
  await imap.deliver('Subject: x\r\n\r\nx\r\n');
  await using client = await imap.login();
  const { text, untagged } = await client.command('EXAMINE INBOX');
  assert.match(text, /^\[READ-ONLY\]/);
  assert.ok(untagged.some((line) => line.includes('[PERMANENTFLAGS ()]')));
  for (const command of ['STORE 1 +FLAGS (\\Seen)', 'EXPUNGE', 'MOVE 1 INBOX']) {
    const answer = await client.command(command);
    assert.match(`${answer.status} ${answer.text}`, /^NO \[NOPERM\]/, command);
  }
  assert.equal((await client.command('CLOSE')).status, 'OK');
});

test('flags are bounded, and system flags are the five there are', async () => {
  await using imap = await startImap();
  await imap.deliver('Subject: x\r\n\r\nx\r\n');
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  const keywords = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => `k${from + at}`).join(' ');
  assert.equal((await client.command(`STORE 1 +FLAGS (${keywords(0, 40)})`)).status, 'OK');
  assert.equal((await client.command(`STORE 1 +FLAGS (${keywords(40, 40)})`)).status, 'NO');
  assert.equal((await client.command(`STORE 1 FLAGS (${keywords(0, 65)})`)).status, 'BAD');
  assert.equal((await client.command(`STORE 1 FLAGS (${'k'.repeat(1000)})`)).status, 'BAD');
  assert.equal((await client.command('STORE 1 FLAGS (\\Strange)')).status, 'BAD');
  assert.deepEqual((await client.command('STORE 1 FLAGS (\\Recent)')).untagged, ['* 1 FETCH (FLAGS ())']);
  assert.deepEqual((await client.command('STORE 1 FLAGS (\\sEEN)')).untagged, ['* 1 FETCH (FLAGS (\\Seen))']);
  assert.deepEqual((await client.command('STORE 1 -FLAGS (\\Seen)')).untagged, ['* 1 FETCH (FLAGS ())']);
  // RFC 9051 6.4.6: the value is answered even if it is as before.
  assert.deepEqual((await client.command('STORE 1 -FLAGS (\\Seen)')).untagged, ['* 1 FETCH (FLAGS ())']);
});

test('SEARCH by flags, numbers, headers and text', async () => {
  await using imap = await startImap();
  await imap.deliver('From: me@_teal.test\r\nSubject: first\r\n\r\nneedle in here\r\n');
  await imap.deliver('From: you@_teal.test\r\nSubject: needle\r\n\r\nnothing\r\n');
  await imap.deliver(`From: you@_teal.test\r\n\r\n${'x'.repeat(400_000)}NEEDLE\r\n`);
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  await client.command('UID STORE 1 +FLAGS.SILENT (\\Deleted)');
  await client.command('EXPUNGE');
  await client.command('STORE 1 +FLAGS.SILENT (\\Seen)');
  const cases: [string, string][] = [
    ['SEARCH ALL', '* SEARCH 1 2'],
    ['UID SEARCH ALL', '* SEARCH 2 3'],
    ['UID SEARCH FROM "me"', '* SEARCH'],
    ['UID SEARCH FROM "YOU"', '* SEARCH 2 3'],
    ['UID SEARCH SUBJECT needle', '* SEARCH 2'],
    ['UID SEARCH BODY needle', '* SEARCH 3'],
    ['UID SEARCH TEXT needle', '* SEARCH 2 3'],
    ['UID SEARCH TEXT needle NOT SEEN', '* SEARCH 3'],
    ['UID SEARCH OR SEEN LARGER 1000', '* SEARCH 2 3'],
    ['UID SEARCH CHARSET UTF-8 UID 3:*', '* SEARCH 3'],
  ];
  for (const [command, expected] of cases) {
    assert.deepEqual((await client.command(command)).untagged, [expected], command);
  }
  assert.match(
    (await client.command('SEARCH CHARSET KOI8-R ALL')).text,
    /^\[BADCHARSET \(US-ASCII UTF-8\)\]/,
  );
  assert.equal((await client.command('SEARCH RETURN (COUNT) ALL')).status, 'BAD');
  assert.match(
    (await client.command('UID SEARCH MODSEQ 1')).untagged[0] ?? '',
    /^\* SEARCH 2 3 \(MODSEQ \d+\)$/,
  );
});
