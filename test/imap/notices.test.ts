import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import type { Change } from '../../src/store/contract.ts';
import { MAX_UNTOLD } from '../../src/imap/selected.ts';
import { createChanges } from '../../src/notify/changes.ts';
import type { ImapClient } from '../harness/imap-client.ts';
import { ADDRESS, startImap } from '../harness/imap-server.ts';

const MAIL = 'From: bob@_teal.test\r\n\r\nhello\r\n';

async function idle(client: ImapClient): Promise<void> {
  client.write('idle IDLE\r\n');
  assert.equal((await client.next()).text, '+ idling');
}

async function done(client: ImapClient): Promise<readonly string[]> {
  client.write('DONE\r\n');
  return (await client.until('idle')).untagged;
}

/** A bus of our own beside the store's. */
function bus() {
  return createChanges({ events: { fault: (where, error) => assert.fail(`${where}: ${String(error)}`) } });
}

test('EXISTS is handed to the socket before the bus returns', async (t) => {
  const changes = bus();
  await using imap = await startImap({ changes, mode: 'starttls' });
  const { id: account } = await imap.account();
  const mailbox = await imap.store.mailboxes.find(account, 'INBOX');
  assert.ok(mailbox);
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  await idle(client);
  const write = t.mock.method(Socket.prototype, 'write');
  changes.publish({ kind: 'exists', account, mailbox: mailbox.id, modseq: 100, uid: 100, flags: [] });
  const lines = write.mock.calls.map(({ arguments: [data] }) => String(data));
  write.mock.restore();
  assert.deepEqual(lines, ['* 1 EXISTS\r\n']);
  assert.equal((await client.next()).text, '* 1 EXISTS');
});

test('what comes between SELECT and IDLE is told with IDLE, not with SELECT', async () => {
  let deliverMeanwhile = async () => {};
  await using imap = await startImap({
    wrapStore: (store) => ({
      ...store,
      messages: {
        ...store.messages,
        snapshot: async (mailbox) => {
          const snapshot = await store.messages.snapshot(mailbox);
          await deliverMeanwhile();
          return snapshot;
        },
      },
    }),
  });
  await imap.deliver(MAIL);
  await using client = await imap.login();
  deliverMeanwhile = async () => void (await imap.deliver(MAIL));
  const { untagged } = await client.command('SELECT INBOX');
  assert.deepEqual(
    untagged.filter((line) => / EXISTS$/.test(line)),
    ['* 1 EXISTS'],
  );
  assert.ok(untagged.some((line) => line.includes('[UIDNEXT 2]')));
  await imap.deliver(MAIL);
  await idle(client);
  assert.equal((await client.next()).text, '* 3 EXISTS');
  assert.deepEqual(await done(client), []);
  const { untagged: fetched } = await client.command('UID FETCH 2:501 (UID)');
  assert.deepEqual(fetched, ['* 2 FETCH (UID 2)', '* 3 FETCH (UID 3)']);
});

test('no UID is missed or told twice while 50 deliveries race with SELECT, FETCH and IDLE', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  const deliveries = Array.from({ length: 50 }, () => imap.deliver(MAIL));
  const fetched: number[] = [];
  let next = 1;
  // Delta Chat's logic: fetch from the UID after the last one, whenever EXISTS says that there is more.
  const take = async () => {
    const { untagged } = await client.command(`UID FETCH ${next}:${next + 499} (UID RFC822.SIZE)`);
    for (const line of untagged) {
      const uid = Number(/UID (\d+)/.exec(line)?.[1] ?? 0);
      if (uid < next) continue;
      fetched.push(uid);
      next = uid + 1;
    }
  };
  while (fetched.length < 50) {
    await client.command('SELECT INBOX');
    await take();
    if (fetched.length === 50) break;
    await idle(client);
    assert.match((await client.next()).text, / EXISTS$/);
    await done(client);
    await take();
    await client.command('CLOSE');
  }
  await Promise.all(deliveries);
  assert.deepEqual(
    fetched,
    Array.from({ length: 50 }, (_, at) => at + 1),
  );
});

test('expunges are told where RFC 9051 7.5.1 allows, and numbers mean the same to both until then', async () => {
  await using imap = await startImap();
  for (let count = 0; count < 4; count += 1) await imap.deliver(MAIL);
  await using client = await imap.login();
  await using other = await imap.login();
  await client.command('SELECT INBOX');
  await other.command('SELECT INBOX');
  await other.command('UID STORE 1,3 +FLAGS (\\Deleted)');
  const own = await other.command('EXPUNGE');
  assert.deepEqual(own.untagged, ['* 3 EXPUNGE', '* 1 EXPUNGE']);
  await imap.deliver(MAIL);

  const fetch = await client.command('FETCH 1:4 (UID)');
  assert.deepEqual(fetch.untagged, ['* 2 FETCH (UID 2)', '* 4 FETCH (UID 4)', '* 5 EXISTS']);
  assert.equal(fetch.status, 'NO');
  assert.match(fetch.text, /^\[EXPUNGEISSUED\]/);
  const store = await client.command('STORE 1:2 +FLAGS (\\Seen)');
  assert.deepEqual(store.untagged, ['* 2 FETCH (FLAGS (\\Seen))']);
  assert.match(store.text, /^\[EXPUNGEISSUED\]/);
  assert.deepEqual((await client.command('SEARCH ALL')).untagged, ['* SEARCH 2 4 5']);
  assert.deepEqual((await client.command('UID FETCH 4 (UID)')).untagged, [
    '* 4 FETCH (UID 4)',
    '* 3 EXPUNGE',
    '* 1 EXPUNGE',
  ]);
  assert.deepEqual((await client.command('FETCH 1:* (UID)')).untagged, [
    '* 1 FETCH (UID 2)',
    '* 2 FETCH (UID 4)',
    '* 3 FETCH (UID 5)',
  ]);
});

test('flags that others set are told without a UID, but not among the answers of a FETCH', async () => {
  await using imap = await startImap();
  await imap.deliver(MAIL);
  await using client = await imap.login();
  await using other = await imap.login();
  await client.command('SELECT INBOX');
  await other.command('SELECT INBOX');
  await other.command('UID STORE 1 +FLAGS (\\Seen)');
  assert.deepEqual((await client.command('UID FETCH 1 (RFC822.SIZE)')).untagged, [
    `* 1 FETCH (UID 1 RFC822.SIZE ${MAIL.length})`,
  ]);
  assert.deepEqual((await client.command('NOOP')).untagged, ['* 1 FETCH (FLAGS (\\Seen))']);
  await idle(client);
  await other.command('UID STORE 1 FLAGS (\\Deleted $Label)');
  assert.equal((await client.next()).text, '* 1 FETCH (FLAGS (\\Deleted $Label))');
  await other.command('CLOSE');
  assert.equal((await client.next()).text, '* 1 EXPUNGE');
  assert.deepEqual(await done(client), []);
});

test('our own changes are told once', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  const appended = await client.command('APPEND INBOX ', MAIL, '');
  assert.match(appended.text, /^\[APPENDUID \d+ 1\]/);
  assert.deepEqual(appended.untagged, ['* 1 EXISTS']);
  assert.deepEqual((await client.command('STORE 1 +FLAGS.SILENT (\\Seen)')).untagged, []);
  assert.deepEqual((await client.command('STORE 1 +FLAGS (\\Deleted)')).untagged, [
    '* 1 FETCH (FLAGS (\\Deleted \\Seen))',
  ]);
  assert.deepEqual((await client.command('NOOP')).untagged, []);
  const copied = await client.command('COPY 1 INBOX');
  assert.match(copied.text, /^\[COPYUID \d+ 1 2\]/);
  assert.deepEqual(copied.untagged, ['* 2 EXISTS']);
  assert.deepEqual((await client.command('UID EXPUNGE 1')).untagged, ['* 1 EXPUNGE']);
  assert.deepEqual((await client.command('NOOP')).untagged, []);
});

test('anything but DONE ends IDLE with BAD, and the session goes on', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  await idle(client);
  client.write('a NOOP\r\n');
  assert.equal((await client.until('idle')).status, 'BAD');
  assert.equal((await client.command('NOOP')).status, 'OK');
  await client.command('SELECT INBOX');
  await idle(client);
  client.write('done\r\n');
  assert.equal((await client.until('idle')).status, 'OK');
});

test('a mailbox that is deleted sends away those who have it selected, but not who deleted it', async () => {
  await using imap = await startImap();
  await using client = await imap.login();
  await using other = await imap.login();
  await client.command('CREATE box');
  await client.command('SELECT box');
  await other.command('SELECT box');
  assert.equal((await client.command('DELETE box')).status, 'OK');
  assert.equal((await client.command('CHECK')).status, 'BAD');
  assert.deepEqual(
    (await other.rest()).map(({ text }) => text),
    ['* BYE Mailbox removed'],
  );
});

test('a session that is told nothing for too long is ended rather than kept in memory', async () => {
  const changes = bus();
  await using imap = await startImap({ changes });
  const { id: account } = await imap.account(ADDRESS);
  const mailbox = (await imap.store.mailboxes.find(account, 'INBOX'))?.id;
  assert.ok(mailbox);
  await using client = await imap.login();
  await client.command('SELECT INBOX');
  for (let uid = 1; uid <= MAX_UNTOLD + 1; uid += 1) {
    const change: Change = { kind: 'exists', account, mailbox, modseq: uid + 1, uid, flags: [] };
    changes.publish(change);
  }
  assert.match((await client.next()).text, /^\* BYE \[UNAVAILABLE\]/);
});

test('an account may have a hundred sessions, the next is refused for now', async () => {
  const changes = bus();
  await using imap = await startImap({ changes });
  const { id } = await imap.account();
  const leave = Array.from({ length: 100 }, () => changes.subscribe(id, () => {}));
  await using client = await imap.connect();
  const answer = await client.command(`LOGIN ${ADDRESS} secret`);
  assert.match(`${answer.status} ${answer.text}`, /^NO \[LIMIT\] Too many sessions/);
  assert.match((await client.next()).text, /^\* BYE/);
  for (const each of leave) each();
});
