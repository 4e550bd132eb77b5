import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createByteBudget } from '../../../src/limits/byte-budget.ts';
import { startImap } from '../../harness/imap-server.ts';

const PLAIN =
  'From: Bob <bob@x.test>\r\nSubject: hi\r\nDate: Fri, 2 Jan 2026 12:00:00 +0000\r\n\r\nhello\r\n';
const MIXED = [
  'From: bob@x.test',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  'preamble',
  '--b',
  'Content-Type: text/plain',
  '',
  'first',
  '--b',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  '',
  'inner text',
  '--b--',
  'epilogue',
  '',
].join('\r\n');

test('every item says what the message holds', async () => {
  await using imap = await startImap();
  await imap.deliver(PLAIN);
  await imap.deliver(MIXED);
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  const size = PLAIN.length;
  const header = PLAIN.slice(0, PLAIN.indexOf('\r\n\r\n') + 4);
  const literal = (text: string) => `{${text.length}}\r\n${text}`;
  const cases: [string, string][] = [
    ['FETCH 1 RFC822.SIZE', `* 1 FETCH (RFC822.SIZE ${size})`],
    ['FETCH 1 (UID FLAGS)', '* 1 FETCH (UID 1 FLAGS ())'],
    ['UID FETCH 1 FLAGS', '* 1 FETCH (UID 1 FLAGS ())'],
    ['FETCH 1 BODY.PEEK[]', `* 1 FETCH (BODY[] ${literal(PLAIN)})`],
    [
      'FETCH 1 BODY.PEEK[]<7.3>',
      `* 1 FETCH (BODY[]<7> ${literal('ob ')})`.replace('ob ', PLAIN.slice(7, 10)),
    ],
    ['FETCH 1 BODY.PEEK[]<9999.3>', '* 1 FETCH (BODY[]<9999> {0}\r\n)'],
    ['FETCH 1 BODY.PEEK[HEADER]', `* 1 FETCH (BODY[HEADER] ${literal(header)})`],
    ['FETCH 1 RFC822.HEADER', `* 1 FETCH (RFC822.HEADER ${literal(header)})`],
    ['FETCH 1 BODY.PEEK[TEXT]', `* 1 FETCH (BODY[TEXT] ${literal('hello\r\n')})`],
    ['FETCH 1 BODY.PEEK[1]', `* 1 FETCH (BODY[1] ${literal('hello\r\n')})`],
    ['FETCH 1 BODY.PEEK[2]', '* 1 FETCH (BODY[2] NIL)'],
    [
      'FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT X)]',
      `* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT X)] ${literal('Subject: hi\r\n\r\n')})`,
    ],
    [
      'FETCH 1 (BODY.PEEK[HEADER.FIELDS.NOT (FROM DATE)] BODY.PEEK[TEXT]<0.2>)',
      `* 1 FETCH (BODY[HEADER.FIELDS.NOT (FROM DATE)] ${literal('Subject: hi\r\n\r\n')} BODY[TEXT]<0> ${literal('he')})`,
    ],
    ['FETCH 2 BODY.PEEK[1.MIME]', `* 2 FETCH (BODY[1.MIME] ${literal('Content-Type: text/plain\r\n\r\n')})`],
    ['FETCH 2 BODY.PEEK[2.TEXT]', `* 2 FETCH (BODY[2.TEXT] ${literal('inner text')})`],
    [
      'FETCH 2 (BODY.PEEK[1] RFC822.SIZE BODY.PEEK[])',
      `* 2 FETCH (BODY[1] ${literal('first')} RFC822.SIZE ${MIXED.length} BODY[] ${literal(MIXED)})`,
    ],
    [
      'FETCH 1 ENVELOPE',
      '* 1 FETCH (ENVELOPE ("Fri, 2 Jan 2026 12:00:00 +0000" "hi" (("Bob" NIL "bob" "x.test")) (("Bob" NIL "bob" "x.test")) (("Bob" NIL "bob" "x.test")) NIL NIL NIL NIL NIL))',
    ],
    ['FETCH 1 BODY', '* 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 7 1))'],
  ];
  for (const [command, expected] of cases) {
    const answer = await client.command(command);
    assert.deepEqual(
      answer.untagged.map((line) => line.toLowerCase()),
      [expected.toLowerCase()],
      command,
    );
    assert.equal(answer.status, 'OK', command);
  }
  const macro = await client.command('FETCH 1 FULL');
  assert.match(
    macro.untagged[0] ?? '',
    /^\* 1 FETCH \(FLAGS \(\) INTERNALDATE ".*" RFC822.SIZE \d+ ENVELOPE \(.*\) BODY \(/,
  );
});

test('BODY[] is byte-exact whatever the bytes and the size, and so is each part of it', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  const bodies = [0, 1, 16 * 1024, 300 * 1024, 5 * 1024 * 1024 + 7].map((size) => {
    const bytes = randomBytes(size);
    // IMAP cannot carry NUL; everything else it can.
    for (let at = bytes.indexOf(0); at >= 0; at = bytes.indexOf(0, at)) bytes[at] = 1;
    return Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), bytes]);
  });
  for (const body of bodies) await imap.deliver(body);
  await client.command('SELECT INBOX');
  const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const { responses } = await client.command('UID FETCH 1:* (FLAGS BODY.PEEK[])');
  assert.deepEqual(
    responses.map(({ literals: [body] }) => body && sum(body)),
    bodies.map(sum),
  );
  const last = bodies.at(-1) ?? Buffer.alloc(0);
  const pieces: Buffer[] = [];
  for (let at = 0; at < last.length; at += 1_000_000) {
    const part = await client.command(`UID FETCH 5 BODY.PEEK[]<${at}.1000000>`);
    const [response] = part.responses;
    const piece = response?.literals[0] ?? Buffer.alloc(0);
    pieces.push(piece);
    // Not an octet more than was announced.
    const head = `* 5 FETCH (UID 5 BODY[]<${at}> {${piece.length}}\r\n`;
    assert.equal(response?.text.length, head.length + piece.length + 1);
  }
  assert.equal(sum(Buffer.concat(pieces)), sum(last));
});

test('reading without PEEK marks \\Seen and says so once; EXAMINE and PEEK do not', async () => {
  await using imap = await startImap();
  await imap.deliver(PLAIN);
  await imap.deliver(PLAIN);
  await using client = await imap.login();
  await client.command('EXAMINE INBOX');
  await client.command('FETCH 1 BODY[]');
  await client.command('SELECT INBOX');
  await client.command('FETCH 1 BODY.PEEK[]');
  assert.deepEqual((await client.command('FETCH 1 FLAGS')).untagged, ['* 1 FETCH (FLAGS ())']);
  assert.deepEqual((await client.command('FETCH 1 BODY[TEXT]')).untagged, [
    '* 1 FETCH (BODY[TEXT] {7}\r\nhello\r\n FLAGS (\\Seen))',
  ]);
  assert.deepEqual((await client.command('FETCH 1 BODY[TEXT]')).untagged, [
    '* 1 FETCH (BODY[TEXT] {7}\r\nhello\r\n)',
  ]);
  assert.deepEqual((await client.command('FETCH 2 (FLAGS RFC822.TEXT)')).untagged, [
    '* 2 FETCH (FLAGS (\\Seen) RFC822.TEXT {7}\r\nhello\r\n)',
  ]);
});

test('sets: UIDs that are not there are passed over, numbers that are not there are an error', async () => {
  await using imap = await startImap();
  for (let count = 0; count < 5; count += 1) await imap.deliver(PLAIN);
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  await client.command('UID STORE 2 +FLAGS.SILENT (\\Deleted)');
  await client.command('EXPUNGE');
  const uids = async (command: string) => {
    const { status, untagged } = await client.command(command);
    return [status, ...untagged.map((line) => /UID (\d+)/.exec(line)?.[1])].join(' ');
  };
  const cases: [string, string][] = [
    ['UID FETCH 1:500 (UID)', 'OK 1 3 4 5'],
    ['UID FETCH 4,1,2,99 (UID)', 'OK 1 4'],
    ['UID FETCH * (UID)', 'OK 5'],
    ['UID FETCH 900:* (UID)', 'OK 5'],
    ['UID FETCH 900:999 (UID)', 'OK'],
    ['FETCH 2:3 (UID)', 'OK 3 4'],
    ['FETCH *:3 (UID)', 'OK 4 5'],
    ['FETCH 5 (UID)', 'BAD'],
    ['FETCH 0 (UID)', 'BAD'],
  ];
  for (const [command, expected] of cases) assert.equal(await uids(command), expected, command);
});

test('CONDSTORE: CHANGEDSINCE answers what changed, with MODSEQ; MODSEQ is in every later FETCH of flags', async () => {
  await using imap = await startImap();
  await imap.deliver(PLAIN);
  await imap.deliver(PLAIN);
  await using client = await imap.login();
  const selected = await client.command('SELECT "INBOX" (CONDSTORE)');
  const highest = Number(/HIGHESTMODSEQ (\d+)/.exec(selected.untagged.join())?.[1]);
  // Delta Chat up to 2.53.
  const all = await client.command('UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)');
  assert.deepEqual(
    all.untagged.map((line) => line.replace(/MODSEQ \(\d+\)/, 'MODSEQ (n)')),
    ['* 1 FETCH (UID 1 FLAGS () MODSEQ (n))', '* 2 FETCH (UID 2 FLAGS () MODSEQ (n))'],
  );
  assert.deepEqual((await client.command(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${highest})`)).untagged, []);
  const stored = await client.command('UID STORE 2 +FLAGS.SILENT (\\Seen)');
  assert.match(stored.untagged[0] ?? '', /^\* 2 FETCH \(UID 2 MODSEQ \(\d+\)\)$/);
  const changed = await client.command(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${highest})`);
  assert.match(changed.untagged.join(), /^\* 2 FETCH \(UID 2 FLAGS \(\\Seen\) MODSEQ \(\d+\)\)$/);
  const refused = await client.command(`UID STORE 1,2 (UNCHANGEDSINCE ${highest}) +FLAGS (\\Flagged)`);
  assert.match(refused.text, /^\[MODIFIED 2\]/);
  assert.match(refused.untagged.join(), /^\* 1 FETCH \(UID 1 FLAGS \(\\Flagged\) MODSEQ \(\d+\)\)$/);
});

test('where memory is short, parts cannot be had but bodies still stream', async () => {
  await using imap = await startImap({ byteBudget: createByteBudget(100_000) });
  const big = Buffer.from(`Subject: x\r\n\r\n${'line of text\r\n'.repeat(20_000)}`);
  await imap.deliver(big);
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  const { responses } = await client.command('UID FETCH 1 BODY.PEEK[]');
  assert.ok(responses[0]?.literals[0]?.equals(big));
  client.write('a UID FETCH 1 BODYSTRUCTURE\r\n');
  assert.deepEqual(
    (await client.rest()).map(({ text }) => text),
    ['* BYE [UNAVAILABLE] Temporary failure, try again later'],
  );
});
