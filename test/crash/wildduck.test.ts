import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailboxId, Store } from '../../src/store/contract.ts';
import type {
  MailboxDocument,
  MessageDocument,
  PlanDocument,
  QueueDestinationDocument,
  QueueRowDocument,
  UserDocument,
} from '../../src/store/wildduck/documents.ts';
import { without } from '../harness/peers.ts';
import { openTestDatabase } from '../harness/test-database.ts';
import type { TestDatabase } from '../harness/test-database.ts';
import { openTestWildduck } from '../harness/wildduck-store.ts';
import { createLedger, runAndKill, sha256OfMany, verify, verifyQueue } from './ledger.ts';
import type { Ledger } from './ledger.ts';

const KILLS = 8;
/** The latest instant of a kill, in ms after the child has opened the store. */
const LONGEST = 1500;
/** Others take over at once what the killed one held. */
const LEASE = 300;
/** How long what was left undone may take to be done, in ms. */
const SETTLED_WITHIN = 20_000;

/** What the child says is the time of a round, and how long after that its last lease has ended (see store-child.ts). */
const timeOf = (round: number) => round * 1_000_000;
const LEASES_ENDED = 600_000;

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

/** Brings the mailboxes that were held to an end: whoever takes one next does that. */
async function settle(store: Store, ledger: Ledger, { database }: TestDatabase): Promise<void> {
  for (const inbox of ledger.mailboxes.keys()) await store.messages.expunge(inbox, []);
  const until = Date.now() + SETTLED_WITHIN;
  for (;;) {
    // One that is done is a message in the queue.
    const left = await database.collection('teal.plans').countDocuments({ at: { $exists: true } });
    if (left === 0) return;
    assert.ok(Date.now() < until, `${left} plans are left`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Comes upon every row: those of a try that came to nothing go with that. The others are due again in the next round. */
async function lookAtAll({ queue }: Store, round: number): Promise<void> {
  const wish = { limit: 10_000, perDestination: 10_000, rowsPerBatch: 100, leaseMs: 1, except: [] };
  while ((await queue.claim(timeOf(round) + LEASES_ENDED, wish)).length > 0);
}

/** The collections fit together; nothing is left half-done. */
async function verifyCollections({ database }: TestDatabase): Promise<void> {
  const messages = await database
    .collection<MessageDocument>('messages')
    .find()
    .project<MessageDocument>({ user: 1, mailbox: 1, uid: 1, size: 1, modseq: 1, 'teal.file': 1 })
    .toArray();
  for (const mailbox of await database.collection<MailboxDocument>('mailboxes').find().toArray()) {
    for (const { uid, modseq } of messages.filter((message) => mailbox._id.equals(message.mailbox))) {
      assert.ok(uid < mailbox.uidNext, 'nothing is left that nobody sees');
      assert.ok(modseq <= mailbox.modifyIndex, 'nothing is newer than its mailbox');
    }
    assert.equal(mailbox.teal?.lease, undefined, 'nobody holds it');
  }
  for (const user of await database.collection<UserDocument>('users').find().toArray()) {
    const mine = messages.filter((message) => user._id.equals(message.user));
    const bytes = mine.reduce((sum, { size }) => sum + size, 0);
    assert.equal(user.storageUsed, bytes, 'the sum is that of its messages');
  }
  const plans = await database.collection<PlanDocument>('teal.plans').find().toArray();
  const rows = await database.collection<QueueRowDocument>('teal.queue').find().toArray();
  const runs = new Map(plans.map(({ _id, run }) => [String(_id), String(run)]));
  const seemDue = await database
    .collection<QueueDestinationDocument>('teal.queue.destinations')
    .find()
    .toArray();
  const earliest = new Map(seemDue.map(({ _id, due }) => [_id, due]));
  for (const { message, run, destination, due } of rows) {
    assert.equal(runs.get(String(message)), String(run), 'a row has its message');
    assert.ok((earliest.get(destination) ?? Infinity) <= due, 'no destination is overlooked');
  }
  const files = await database.collection('attachments.files').distinct('_id');
  const known = new Set(files.map(String));
  const named = [...messages.map(({ teal }) => teal?.file), ...plans.map(({ file }) => file)];
  for (const file of named) if (file) assert.ok(known.has(String(file)), 'a file is there');
}

/** A message was sent once by the child: after any crash it is in a mailbox once at most. */
async function verifyOnce(store: Store, mailboxes: Iterable<MailboxId>): Promise<void> {
  for (const inbox of mailboxes) {
    const uids = (await store.messages.snapshot(inbox))?.uids ?? [];
    const hashes = await sha256OfMany(store, inbox, uids);
    assert.equal(new Set(hashes).size, hashes.length, 'a message is there twice');
  }
}

describe('kill -9 of a process on the WildDuck store', { skip }, () => {
  test(`${KILLS} times under load: what was acknowledged is there, intact, and what was expunged is gone`, async (t) => {
    await using database = await openTestDatabase();
    const ledger = createLedger();
    for (let round = 1; round <= KILLS; round += 1) {
      await runAndKill(`mongodb:${database.name}`, round, ledger, {
        after: 'open',
        // Where the kill falls is meant to be different each time; what is found does not depend on it.
        wait: 300 + Math.random() * LONGEST,
      });
      await using opened = await openTestWildduck({ leaseMs: LEASE, quota: 1024 ** 4 }, database);
      await verify(opened.store, ledger, round, round === KILLS);
      await settle(opened.store, ledger, database);
      await verify(opened.store, ledger, round, false);
      await lookAtAll(opened.store, round);
      await verifyQueue(opened.store, ledger);
    }
    await using opened = await openTestWildduck({ leaseMs: LEASE, quota: 1024 ** 4 }, database);
    await settle(opened.store, ledger, database);
    await verifyCollections(database);
    await verifyOnce(opened.store, ledger.mailboxes.keys());
    const { accepted, expunged, flagged, settled } = ledger.lines;
    assert.ok(accepted > 100 && expunged > 5 && flagged > 20 && settled > 20, 'there was load');
    const twice = [...ledger.queued.values()].filter(({ sentIn }) => sentIn.length > 1).length;
    t.diagnostic(`${accepted} accepted, ${flagged} flagged, ${expunged} expunged`);
    t.diagnostic(`${settled} batches sent and settled, ${twice} recipients sent to twice`);
  });
});
