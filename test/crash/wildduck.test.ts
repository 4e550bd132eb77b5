import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailboxId, Store } from '../../src/store/contract.ts';
import type { MailboxDocument, MessageDocument, UserDocument } from '../../src/store/wildduck/documents.ts';
import { without } from '../harness/peers.ts';
import { openTestDatabase } from '../harness/test-database.ts';
import type { TestDatabase } from '../harness/test-database.ts';
import { openTestWildduck } from '../harness/wildduck-store.ts';
import { createLedger, runAndKill, sha256Of, verify, verifyQueue } from './ledger.ts';
import type { Ledger } from './ledger.ts';

const KILLS = 10;
/** The latest instant of a kill, in ms after the child has opened the store. */
const LONGEST = 1500;
/** Others take over at once what the killed one held. */
const LEASE = 300;
/** How long what was left undone may take to be done, in ms. */
const SETTLED_WITHIN = 20_000;

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

/** Brings the mailboxes that were held to an end: whoever takes one next does that. */
async function settle(store: Store, ledger: Ledger, { database }: TestDatabase): Promise<void> {
  for (const inbox of ledger.mailboxes.keys()) await store.messages.expunge(inbox, []);
  const until = Date.now() + SETTLED_WITHIN;
  for (;;) {
    const left = await database.collection('teal.plans').countDocuments();
    if (left === 0) return;
    assert.ok(Date.now() < until, `${left} plans are left`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
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
  const files = await database.collection('attachments.files').distinct('_id');
  const known = new Set(files.map(String));
  for (const { teal } of messages) if (teal?.file) assert.ok(known.has(String(teal.file)), 'a file is there');
}

/** A message was sent once by the child: after any crash it is in a mailbox once at most. */
async function verifyOnce(store: Store, mailboxes: Iterable<MailboxId>): Promise<void> {
  for (const inbox of mailboxes) {
    const uids = (await store.messages.snapshot(inbox))?.uids ?? [];
    const hashes: string[] = [];
    for (const uid of uids) hashes.push(await sha256Of(store, inbox, uid));
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
      await verifyQueue(opened.store, ledger);
    }
    await using opened = await openTestWildduck({ leaseMs: LEASE, quota: 1024 ** 4 }, database);
    await settle(opened.store, ledger, database);
    await verifyCollections(database);
    await verifyOnce(opened.store, ledger.mailboxes.keys());
    const { accepted, expunged, flagged } = ledger.lines;
    assert.ok(accepted > 100 && expunged > 5 && flagged > 20, 'there was load');
    t.diagnostic(`${accepted} accepted, ${flagged} flagged, ${expunged} expunged`);
  });
});
