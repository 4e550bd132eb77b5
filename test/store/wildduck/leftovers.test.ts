import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AccountId, MailboxId, Plan } from '../../../src/store/contract.ts';
import { hour, mailbox, minute, sized, start } from '../../contract/fixture.ts';
import { without } from '../../harness/peers.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';

/** What stays when everybody is gone, and why that does not grow. */
const STAYS = new Map([
  ['domaincache', 'WildDuck’s: one for each domain of accounts'],
  ['journal', 'the database forgets it after three hours'],
  ['teal.counters', 'a handful'],
  ['teal.leases', 'one'],
]);

describe('what is left', { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') }, () => {
  test('of accounts that are gone, of mail that was expunged or sent: nothing, in no collection and not in Redis', async () => {
    await using opened = await openTestWildduck();
    const { store, database } = opened;
    const everything = async () => {
      const found = new Map<string, number>();
      for (const { name } of await database.database.listCollections().toArray()) {
        const count = await database.database.collection(name).countDocuments();
        if (count > 0 && !name.startsWith('system.')) found.set(name, count);
      }
      return found;
    };
    const people: { account: AccountId; inbox: MailboxId }[] = [];
    for (const name of ['alice', 'bob']) {
      const { account } = await store.accounts.create(`${name}@example.org`, 'hash', start);
      people.push({ account: account.id, inbox: (await mailbox(store, account.id, 'INBOX')).id });
      await store.accounts.touch(account.id, start + 48 * hour);
      await store.tokens.add(account.id, `token of ${name}`, start);
    }
    const plan = (size: number): Plan => ({
      now: start,
      message: sized(size),
      headerSize: 6,
      deliveries: people.map(({ account }) => ({ account, push: true })),
      outgoing: {
        sender: 'alice@example.org',
        recipients: [{ address: 'x@other.test', destination: 'other.test' }],
      },
    });
    for (const size of [100, 300_000, 2_000_000]) await store.accept(plan(size));
    for (const { account, inbox } of people) {
      await store.mailboxes.create(account, 'folder', start);
      const folder = (await mailbox(store, account, 'folder')).id;
      await store.messages.copy(inbox, [1, 2], folder, { move: false, now: start });
      await store.messages.copy(inbox, [3], folder, { move: true, now: start });
      await store.messages.storeFlags(inbox, [2], { action: 'add', flags: ['\\Deleted'] });
      await store.messages.expunge(inbox, 'all');
    }
    const wish = { limit: 9, perDestination: 9, rowsPerBatch: 9, leaseMs: minute, except: [] };
    for (const batch of await store.queue.claim(start, wish))
      await store.queue.settle(batch, [{ kind: 'done' }]);
    await store.queue.nextDue([]);
    for (const job of await store.pushJobs.claim(start + hour, 9, minute))
      await store.pushJobs.settle(job, { kind: 'done', againAt: start + hour });
    const meanwhile = await everything();
    assert.ok((meanwhile.get('messages') ?? 0) > 0 && (meanwhile.get('attachments.chunks') ?? 0) > 0);
    for (const name of ['archived', 'authlog', 'addressregister', 'threads', 'auditlog', 'teal.plans'])
      assert.equal(meanwhile.get(name), undefined, name);
    await store.mailboxes.remove((await mailbox(store, people[0]!.account, 'folder')).id);
    for (const { account: each } of people) await store.accounts.remove(each);
    assert.deepEqual(
      [...(await everything()).keys()].filter((name) => !STAYS.has(name)),
      [],
    );
    // Whatever is in Redis under the names of what was there goes by itself.
    const keys: string[] = [];
    for (const { account: each, inbox } of people)
      keys.push(...(await database.redis.keys(`*${each}*`)), ...(await database.redis.keys(`*${inbox}*`)));
    keys.push(...(await database.redis.keys(`*${database.name}*`)));
    for (const key of keys) assert.notEqual(await database.redis.ttl(key), -1, `${key} stays for ever`);
    const lists = await database.redis.keys('*bull*');
    assert.deepEqual(lists, [], 'no queue that nobody empties');
  });
});
