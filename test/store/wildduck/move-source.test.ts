import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/machine.ts';
import type { MovedMessage } from '../../../src/store/contract.ts';
import { openWildduckSource } from '../../../src/store/wildduck/move-source.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';
import { headerSize, start, text } from '../../contract/fixture.ts';

const sourceOf = ({ mongodbUrl, redisUrl, name }: TestDatabase) =>
  openWildduckSource({
    mongodbUrl,
    redisUrl,
    database: name,
    clock: systemClock,
    onFault: assert.ifError,
  });

test(
  'who reads a database to move it makes nothing there: it may be the wrong one',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using database = await openTestDatabase();
    await using source = await sourceOf(database);
    assert.equal((await source.values()).size, 0);
    assert.deepEqual(await database.database.listCollections().toArray(), []);
  },
);

/** Every document of every collection. */
async function contents({ database }: TestDatabase): Promise<Record<string, unknown[]>> {
  const collections = await database.listCollections().toArray();
  const all = await Promise.all(
    collections.map(async ({ name }) => [
      name,
      await database.collection(name).find({}).sort({ _id: 1 }).toArray(),
    ]),
  );
  return Object.fromEntries(all) as Record<string, unknown[]>;
}

test(
  'mail that WildDuck’s own programs put there is read as it is served, and stays as it was',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using database = await openTestDatabase();
    const address = 'alice@example.org';
    const message = text('from elsewhere');
    {
      await using teal = await openTestWildduck({}, database);
      const { account } = await teal.store.accounts.create(address, 'hash', start);
      for (let count = 0; count < 3; count += 1)
        await teal.store.accept({
          now: start,
          message,
          headerSize: headerSize(message),
          deliveries: [{ account: account.id, push: false }],
        });
    }
    // As it is without what is Teal's in it.
    await database.database.collection('messages').updateMany({ uid: { $gt: 1 } }, { $unset: { teal: 1 } });
    const before = await contents(database);

    await using source = await sourceOf(database);
    const read: MovedMessage[] = [];
    for await (const each of source.messages(address, 'INBOX', 0)) read.push(each);
    assert.deepEqual(
      read.map(({ uid, size }) => ({ uid, size })),
      [1, 2, 3].map((uid) => ({ uid, size: message.length })),
    );
    for (const each of read) assert.ok(each.message.equals(message), String(each.uid));
    assert.deepEqual(await contents(database), before);
  },
);
