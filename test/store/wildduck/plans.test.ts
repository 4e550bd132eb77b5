import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Binary, ObjectId } from 'mongodb';
import { objectId } from '../../../src/store/wildduck/ids.ts';
import { bytesOf, mailbox, start, text } from '../../contract/fixture.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';

const LEASE = 300;

describe(
  'plans that a dead process left',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  () => {
    test('are completed by any other: each delivery once, those that were there stay, those removed do not come back', async () => {
      await using database = await openTestDatabase();
      const message = text('planned');
      const headerSize = message.indexOf('\r\n\r\n') + 4;
      await using first = await openTestWildduck({ leaseMs: LEASE }, database);
      const { store } = first;
      const everyone = [];
      for (const name of ['fresh', 'there', 'read', 'gone']) {
        const { account } = await store.accounts.create(`${name}@example.org`, 'hash', start);
        await store.tokens.add(account.id, `token of ${name}`, start);
        const inbox = (await mailbox(store, account.id, 'INBOX')).id;
        everyone.push({ name, account: account.id, inbox, id: new ObjectId() });
      }
      const [fresh, there, read, gone] = everyone;
      assert.ok(fresh && there && read && gone);
      // Two have it already, under the id that the plan gave it; one of them has deleted it since.
      for (const { account, inbox, id } of [there, read]) {
        const delivery = { account, push: false };
        await store.accept({ now: start, message, headerSize, deliveries: [delivery] });
        const messages = database.database.collection('messages');
        const made = await messages.findOneAndDelete({ mailbox: objectId(inbox)! });
        await messages.insertOne({ ...made.value, _id: id });
        const journal = database.database.collection('journal');
        await journal.updateOne({ mailbox: objectId(inbox)! }, { $set: { message: id } });
      }
      await store.messages.storeFlags(read.inbox, [1], { action: 'add', flags: ['\\Deleted'] });
      await store.messages.expunge(read.inbox, 'all');
      await store.accounts.remove(gone.account);

      const plans = database.database.collection('teal.plans');
      await plans.insertOne({
        at: new Date(Date.now() - 60_000),
        fence: 1,
        now: start,
        size: message.length,
        headerSize,
        magic: 1,
        head: new Binary(message.subarray(0, headerSize)),
        message: new Binary(message.subarray(headerSize)),
        deliveries: everyone.map(({ account, id }) => ({
          id,
          user: objectId(account)!,
          push: true,
          flags: [],
        })),
      });
      await using second = await openTestWildduck({ leaseMs: LEASE }, database);
      const until = Date.now() + 10_000;
      while ((await plans.countDocuments()) > 0) {
        assert.ok(Date.now() < until, 'nobody completes the plan');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const uids = async ({ inbox }: typeof fresh) =>
        (await second.store.messages.snapshot(inbox))?.uids ?? [];
      assert.deepEqual(await uids(fresh), [1]);
      assert.ok((await bytesOf(second.store, fresh.inbox, 1))?.equals(message));
      assert.deepEqual(await uids(there), [1]);
      assert.deepEqual(await uids(read), []);
      assert.equal((await store.accounts.quota(fresh.account)).used, message.length);
      assert.equal((await store.accounts.quota(there.account)).used, message.length);
      const jobs = await store.pushJobs.claim(start + 60_000, 10, 1000);
      // Whether a job had been made is not known: one too many wakes a phone for nothing, one too few does not.
      assert.deepEqual(jobs.map(({ token }) => token).sort(), [
        'token of fresh',
        'token of read',
        'token of there',
      ]);
    });
  },
);
