import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { hashPassword } from '../../src/accounts/passwords.ts';
import { systemRandom } from '../../src/machine.ts';
import type { AccountId, Change, MailboxId } from '../../src/store/contract.ts';
import { bytesOf, headerSize, mailbox, start, text } from '../contract/fixture.ts';
import { connectImap } from '../harness/imap-client.ts';
import type { ImapClient } from '../harness/imap-client.ts';
import { without } from '../harness/peers.ts';
import { openTestDatabase } from '../harness/test-database.ts';
import { startWildduckServer } from '../harness/wildduck-server.ts';
import type { WildduckServer } from '../harness/wildduck-server.ts';
import { openTestWildduck } from '../harness/wildduck-store.ts';
import type { TestWildduck } from '../harness/wildduck-store.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');
const PASSWORD = 'a password of a user';

/** A message with an attachment, as an ordinary client makes it: WildDuck takes it to pieces. */
const letter = Buffer.from(
  [
    'From: bob@example.org',
    'To: alice@example.org',
    'Subject: a letter',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'Hello Alice',
    '--b',
    'Content-Type: application/octet-stream; name=a.bin',
    'Content-Transfer-Encoding: base64',
    '',
    ...Array.from({ length: 50 }, () => 'QUJD'.repeat(19)),
    '--b--',
    '',
  ].join('\r\n'),
);

describe('WildDuck’s own server on the same mailbox', { skip }, () => {
  const all = new AsyncDisposableStack();
  let teal: TestWildduck;
  let wildduck: WildduckServer;
  const watchers = new Set<() => void>();

  before(async () => {
    const database = all.use(await openTestDatabase());
    const onChange = () => {
      for (const watch of watchers) watch();
    };
    teal = all.use(await openTestWildduck({ onChange }, database));
    wildduck = all.use(await startWildduckServer(database));
  });
  after(() => all.disposeAsync());

  const told = (mailbox: MailboxId, kind: Change['kind']) =>
    new Promise<Change>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`not told of ${kind} within 10 s; WildDuck said: ${wildduck.output()}`)),
        10_000,
      );
      const look = () => {
        const found = teal.changes.find(
          (change) => change.kind === kind && 'mailbox' in change && change.mailbox === mailbox,
        );
        if (!found) return;
        clearTimeout(late);
        watchers.delete(look);
        resolve(found);
      };
      watchers.add(look);
      look();
    });

  /** An account that Teal made, a session of Teal that looks at its INBOX, and one of WildDuck's IMAP. */
  const open = async (
    address: string,
    before: (account: AccountId) => Promise<void> = async () => {},
  ): Promise<{ account: AccountId; inbox: MailboxId; imap: ImapClient }> => {
    const { account } = await teal.store.accounts.create(
      address,
      await hashPassword(PASSWORD, systemRandom),
      start,
    );
    const inbox = (await mailbox(teal.store, account.id, 'INBOX')).id;
    await before(account.id);
    await teal.store.messages.snapshot(inbox);
    const imap = await connectImap({ port: wildduck.imapPort });
    assert.equal((await imap.command(`LOGIN ${address} "${PASSWORD}"`)).status, 'OK');
    assert.equal((await imap.command('SELECT INBOX')).status, 'OK');
    return { account: account.id, inbox, imap };
  };
  const accept = async (account: AccountId, message: Buffer) => {
    await teal.store.accept({
      now: start,
      message,
      headerSize: headerSize(message),
      deliveries: [{ account, push: false }],
    });
  };
  const fetched = async (imap: ImapClient, uid: number) => {
    const answer = await imap.command(`UID FETCH ${uid} (RFC822.SIZE BODY.PEEK[])`);
    assert.equal(answer.status, 'OK');
    const [response] = answer.responses.filter(({ literals }) => literals.length > 0);
    return {
      size: Number(/RFC822\.SIZE (\d+)/.exec(response?.text ?? '')?.[1]),
      bytes: response?.literals[0],
    };
  };

  for (const [what, message] of [
    ['a small message', text('from Teal')],
    [
      'a message in a file',
      Buffer.concat([text('from Teal, big'), Buffer.alloc(700_000, 'line after line\r\n')]),
    ],
  ] as const)
    test(`${what} that Teal accepted is read and deleted there, and gone from Teal, whose session hears of it`, async () => {
      const { account, inbox, imap } = await open(`reader${message.length}@example.org`, (made) =>
        accept(made, message),
      );
      await using _imap = imap;
      const read = await fetched(imap, 1);
      assert.equal(read.size, message.length);
      assert.ok(read.bytes?.equals(message), 'to the byte');
      assert.equal((await imap.command('UID STORE 1 +FLAGS (\\Flagged)')).status, 'OK');
      const flags = await told(inbox, 'flags');
      assert.deepEqual(flags.kind === 'flags' && flags.messages, [{ uid: 1, flags: ['\\Flagged'] }]);
      assert.equal((await imap.command('UID STORE 1 +FLAGS (\\Deleted)')).status, 'OK');
      assert.equal((await imap.command('EXPUNGE')).status, 'OK');
      const expunge = await told(inbox, 'expunge');
      assert.deepEqual(expunge.kind === 'expunge' && expunge.uids, [1]);
      assert.deepEqual((await teal.store.messages.snapshot(inbox))?.uids, []);
      assert.equal(await teal.store.messages.body(inbox, 1), undefined);
      assert.equal((await teal.store.accounts.quota(account)).used, 0);
    });

  test('what comes while its session idles is told there', async () => {
    const { account, imap } = await open('idle@example.org');
    await using _imap = imap;
    imap.write('I1 IDLE\r\n');
    assert.match((await imap.next()).text, /^\+/);
    await accept(account, text('news'));
    assert.equal((await imap.next()).text, '* 1 EXISTS');
    imap.write('DONE\r\n');
    await imap.until('I1');
  });

  test('a message put there is told to Teal’s session, served by Teal and deleted by Teal, and gone there', async () => {
    const { account, inbox, imap } = await open('writer@example.org');
    await using _imap = imap;
    assert.equal((await imap.command('APPEND INBOX (\\Seen) ', letter, '')).status, 'OK');
    const exists = await told(inbox, 'exists');
    assert.ok(exists.kind === 'exists');
    assert.equal(exists.uid, 1);
    assert.ok(exists.flags.includes('\\Seen'));

    const [message] = await teal.store.messages.get(inbox, [1]);
    const bytes = await bytesOf(teal.store, inbox, 1);
    assert.ok(message && bytes);
    assert.equal(message.size, bytes.length, 'the size is that of what is served');
    assert.equal(message.headerSize, headerSize(bytes));
    // What is served is what WildDuck's own indexer makes of the pieces, and WildDuck serves the same.
    const theirs = await fetched(imap, 1);
    assert.ok(theirs.bytes?.equals(bytes));
    assert.match(bytes.toString(), /Hello Alice/);
    assert.ok(bytes.includes('QUJD'.repeat(19)));
    assert.ok((await bytesOf(teal.store, inbox, 1))?.equals(bytes), 'the same each time');
    assert.equal((await teal.store.accounts.quota(account)).used, bytes.length);

    await teal.store.messages.storeFlags(inbox, [1], { action: 'add', flags: ['\\Deleted'] });
    assert.deepEqual(await teal.store.messages.expunge(inbox, 'all'), [1]);
    assert.equal((await teal.store.accounts.quota(account)).used, 0);
    const parts = teal.database.database.collection('attachments.files');
    const counted = await parts.countDocuments({ 'metadata.teal': { $ne: true }, 'metadata.c': { $ne: 0 } });
    assert.equal(counted, 0, 'its attachment is nobody’s now, and goes with the next sweep');
    // WildDuck collects notices for a tenth of a second.
    const until = Date.now() + 30_000;
    const heard: string[] = [];
    while (!heard.some((line) => line === '* 1 EXPUNGE')) {
      assert.ok(Date.now() < until, `its session hears of it: ${heard.join('; ')}`);
      heard.push(...(await imap.command('NOOP')).untagged);
    }
    const search = await imap.command('UID SEARCH ALL');
    assert.deepEqual(
      search.untagged.filter((line) => line.startsWith('* SEARCH')).map((line) => line.trim()),
      ['* SEARCH'],
    );
  });
});
