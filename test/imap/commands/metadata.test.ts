import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImapClient } from '../../harness/imap-client.ts';
import { startImap } from '../../harness/imap-server.ts';

const ASKED =
  '(/shared/comment /shared/admin /shared/vendor/deltachat/irohrelay /shared/vendor/deltachat/turn /shared/vendor/deltachat/maxsmtprecipients /shared/vendor/deltachat/appversions)';

const tokens = async (client: ImapClient) =>
  (await client.command('GETMETADATA INBOX /private/devicetoken')).untagged[0];

test("answers Delta Chat's question: values as literals, NIL for what there is not", async () => {
  await using imap = await startImap({
    options: { adminUri: 'mailto:root@_teal.test', irohRelay: () => 'https://iroh.test/' },
  });
  await using bare = await startImap();
  await using client = await imap.login();
  await using other = await bare.login();
  assert.deepEqual((await client.command(`GETMETADATA "" ${ASKED}`)).untagged, [
    '* METADATA "" (/shared/comment NIL /shared/admin {22}\r\nmailto:root@_teal.test' +
      ' /shared/vendor/deltachat/irohrelay {18}\r\nhttps://iroh.test/ /shared/vendor/deltachat/turn NIL' +
      ' /shared/vendor/deltachat/maxsmtprecipients {4}\r\n1000 /shared/vendor/deltachat/appversions NIL)',
  ]);
  assert.deepEqual((await other.command('GETMETADATA "" (/shared/admin /shared/comment)')).untagged, [
    '* METADATA "" (/shared/admin NIL /shared/comment NIL)',
  ]);
  assert.deepEqual((await other.command('GETMETADATA "" /shared/vendor/deltachat/irohrelay')).untagged, [
    '* METADATA "" (/shared/vendor/deltachat/irohrelay NIL)',
  ]);
});

test('DEPTH and MAXSIZE: never an empty list', async () => {
  await using imap = await startImap({ options: { adminUri: 'mailto:root@_teal.test' } });
  await using client = await imap.login();
  const cases: [string, string[], RegExp][] = [
    [
      'GETMETADATA (DEPTH infinity) "" /shared',
      [
        '* METADATA "" (/shared/admin {22}\r\nmailto:root@_teal.test /shared/vendor/deltachat/maxsmtprecipients {4}\r\n1000)',
      ],
      /^GETMETADATA completed/,
    ],
    [
      'GETMETADATA (DEPTH 1) "" /shared',
      ['* METADATA "" (/shared/admin {22}\r\nmailto:root@_teal.test)'],
      /^GET/,
    ],
    ['GETMETADATA (DEPTH infinity) "" /private', ['* METADATA "" (/private NIL)'], /^GET/],
    ['GETMETADATA (MAXSIZE 10) "" /shared/admin', [], /^\[METADATA LONGENTRIES 22\]/],
    [
      'GETMETADATA "" (MAXSIZE 10) (/shared/admin /shared/comment)',
      ['* METADATA "" (/shared/comment NIL)'],
      /^\[METADATA LONGENTRIES 22\]/,
    ],
    ['GETMETADATA nowhere /shared/admin', [], /^\[NONEXISTENT\]/],
  ];
  for (const [command, lines, text] of cases) {
    const answer = await client.command(command);
    assert.deepEqual(answer.untagged, lines, command);
    assert.match(answer.text, text, command);
  }
});

test('device tokens are a set: each SETMETADATA adds one, in every spelling that clients use', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  assert.equal(await tokens(client), '* METADATA "INBOX" (/private/devicetoken NIL)');
  const long = `openpgp:${'A'.repeat(916)}`;
  // 2.57: a literal without waiting; 2.58: quoted; the relay's own test: no quotes, a space before the bracket.
  assert.equal((await client.command('SETMETADATA "INBOX" (/private/devicetoken +', long, ')')).status, 'OK');
  assert.equal((await client.command('SETMETADATA "INBOX" (/private/devicetoken "fcm-x:1")')).status, 'OK');
  assert.equal(
    (await client.command('SETMETADATA INBOX (/private/devicetoken ', 'third', ' )')).status,
    'OK',
  );
  assert.equal((await client.command('SETMETADATA INBOX (/PRIVATE/DEVICETOKEN "third")')).status, 'OK');
  const joined = `${long} fcm-x:1 third`;
  assert.equal(
    await tokens(client),
    `* METADATA "INBOX" (/private/devicetoken {${joined.length}}\r\n${joined})`,
  );
  await using other = await imap.login('other1234@_teal.test');
  assert.equal(await tokens(other), '* METADATA "INBOX" (/private/devicetoken NIL)');
});

test('nothing else can be set, and a refused command sets nothing', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  const long = 'x'.repeat(4097);
  const cases: [string[], RegExp][] = [
    [['SETMETADATA INBOX (/private/messagenew "")'], /^NO \[NOPERM\]/],
    [['SETMETADATA "" (/shared/admin "mailto:me")'], /^NO \[NOPERM\]/],
    [['SETMETADATA "" (/private/devicetoken "token")'], /^NO \[NOPERM\]/],
    [['SETMETADATA INBOX (/private/devicetoken "token" /private/comment "x")'], /^NO \[NOPERM\]/],
    [['SETMETADATA INBOX (/private/devicetoken NIL)'], /^NO \[CANNOT\]/],
    [['SETMETADATA INBOX (/private/devicetoken "")'], /^NO \[CANNOT\]/],
    [['SETMETADATA INBOX (/private/devicetoken "two words")'], /^NO \[CANNOT\]/],
    [['SETMETADATA INBOX (/private/devicetoken ', 'caf\xc3\xa9', ')'], /^NO \[CANNOT\]/],
    [['SETMETADATA INBOX (/private/devicetoken ', long, ')'], /^NO \[METADATA MAXSIZE 4096\]/],
    [[`SETMETADATA INBOX (${'/private/devicetoken "t" '.repeat(17).trim()})`], /^NO \[METADATA TOOMANY\]/],
    [['SETMETADATA INBOX ()'], /^BAD/],
    [['SETMETADATA INBOX (/private/devicetoken ', 'x'.repeat(70_000), ')'], /^BAD/],
  ];
  for (const [[text = '', ...more], expected] of cases) {
    const answer = await client.command(text, ...more);
    assert.match(`${answer.status} ${answer.text}`, expected, text);
  }
  assert.equal(await tokens(client), '* METADATA "INBOX" (/private/devicetoken NIL)');
});
