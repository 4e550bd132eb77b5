import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../src/machine.ts';
import type { AccountId, Change, MailboxId } from '../../../src/store/contract.ts';
import { ObjectId } from 'mongodb';
import { connect } from '../../../src/store/wildduck/connect.ts';
import type { Connection } from '../../../src/store/wildduck/connect.ts';
import { contentOf } from '../../../src/store/wildduck/content.ts';
import type { Core } from '../../../src/store/wildduck/core.ts';
import { createExclusive } from '../../../src/store/wildduck/exclusive.ts';
import type { Held } from '../../../src/store/wildduck/exclusive.ts';
import { createFiles } from '../../../src/store/wildduck/files.ts';
import { objectId } from '../../../src/store/wildduck/ids.ts';
import { place } from '../../../src/store/wildduck/place.ts';
import { createRepair } from '../../../src/store/wildduck/repair.ts';
import { loadWildduck } from '../../../src/store/wildduck/wildduck.ts';
import { bytesOf, mailbox, sized, start, text } from '../../contract/fixture.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';
import type { TestWildduck } from '../../harness/wildduck-store.ts';

/** A lease that others may take at once: what a process is that was held up for longer than any lease. */
const EXPIRED = -1000;

describe('a mailbox that is held', { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') }, () => {
  let database: TestDatabase;
  let connection: Connection;
  let quick: TestWildduck;
  let core: Core;
  let account: AccountId;
  let inbox: MailboxId;
  let box: ObjectId;
  const told: Change[] = [];
  let accounts = 0;

  before(async () => {
    database = await openTestDatabase();
    // `quick` takes over whatever is held; `core` is the process that is too slow.
    quick = await openTestWildduck({ leaseMs: EXPIRED }, database);
    const { mongodbUrl, redisUrl, name } = database;
    connection = await connect({ mongodbUrl, redisUrl, database: name, onFault: () => {} });
    const { collections } = connection;
    const files = createFiles(collections, systemClock);
    const tell = async (changes: readonly Change[]) => void told.push(...changes);
    const exclusive = createExclusive({
      collections,
      clock: systemClock,
      name: 'slow',
      tell,
      repair: createRepair({ collections, files, tell }),
    });
    const wildduck = loadWildduck(connection.mongo, connection.redis);
    const quota = 100_000_000;
    core = { collections, clock: systemClock, exclusive, files, wildduck, quota, tell, onFault: () => {} };
  });
  after(async () => {
    await quick[Symbol.asyncDispose]();
    await connection[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  const begin = async () => {
    ({
      account: { id: account },
    } = await quick.store.accounts.create(`held${++accounts}@example.org`, 'hash', start));
    inbox = (await mailbox(quick.store, account, 'INBOX')).id;
    box = objectId(inbox)!;
    told.length = 0;
  };
  const deliver = async (message: Buffer) => {
    const { deliveries } = await quick.store.accept({
      now: start,
      message,
      headerSize: message.indexOf('\r\n\r\n') + 4,
      deliveries: [{ account, push: false }],
    });
    return deliveries[0]?.kind === 'delivered' ? deliveries[0].uid : 0;
  };
  const arrival = async (message: Buffer) => ({
    id: new ObjectId(),
    prepared: await core.wildduck.prepare(await contentOf(core, message, message.indexOf('\r\n\r\n') + 4, 1)),
    flags: [],
    internalDate: start,
    now: start,
  });
  /** What Delta Chat would have seen: everything below UIDNEXT, and never again below. */
  const visible = async () => {
    const snapshot = await quick.store.messages.snapshot(inbox);
    assert.ok(snapshot?.uids.every((uid) => uid < snapshot.uidNext));
    return snapshot;
  };

  for (const [when, between] of [
    ['before it has written', 'before'],
    ['after it has written, before its commit', 'after'],
  ] as const)
    test(`and taken over ${when}: the late message gets a new UID, and no reader misses one`, async () => {
      await begin();
      const slow = await arrival(text('slow'));
      let tries = 0;
      const overtake = async () => {
        assert.equal(await deliver(text('quick')), 1);
        assert.deepEqual((await visible())?.uids, [1]);
      };
      const placed = await core.exclusive.run(box, async (held: Held) => {
        tries += 1;
        if (tries === 1 && between === 'before') await overtake();
        const done = await place(core, held, [slow]);
        if (tries === 1 && between === 'after') await overtake();
        return done;
      });
      assert.deepEqual(placed?.[0]?.uid, 2);
      const snapshot = await visible();
      assert.deepEqual([snapshot?.uids, snapshot?.uidNext], [[1, 2], 3]);
      assert.equal((await bytesOf(quick.store, inbox, 1))?.toString(), text('quick').toString());
      assert.equal((await bytesOf(quick.store, inbox, 2))?.toString(), text('slow').toString());
      assert.equal(tries, 2);
      const uids = told.map((change) => (change.kind === 'exists' ? change.uid : 0));
      assert.deepEqual(uids, [2], 'told once, as it is');
      const { used } = await quick.store.accounts.quota(account);
      assert.equal(used, text('quick').length + text('slow').length, 'the sum is right');
    });

  test('and taken over many times, by several at once: UIDs stay dense, each message is there once', async () => {
    await begin();
    const outcomes = await Promise.all([
      ...Array.from({ length: 10 }, (_, n) => deliver(text(`quick ${n}`))),
      ...Array.from({ length: 10 }, async (_, n) => {
        const slow = await arrival(n === 3 ? sized(300_000) : text(`slow ${n}`));
        const placed = await core.exclusive.run(box, (held) => place(core, held, [slow]));
        return placed?.[0]?.uid ?? 0;
      }),
    ]);
    const all = Array.from({ length: 20 }, (_, n) => n + 1);
    assert.deepEqual(
      outcomes.toSorted((one, other) => one - other),
      all,
    );
    assert.deepEqual((await visible())?.uids, all);
  });

  test('and left in the middle of an expunge: it is completed, told, and counted', async () => {
    await begin();
    for (let n = 0; n < 4; n += 1) await deliver(text(`message ${n}`));
    await quick.store.messages.storeFlags(inbox, [1, 3], { action: 'add', flags: ['\\Deleted'] });
    const before = await visible();
    // As a process leaves it that dies between the journal and the removal.
    const { mailboxes, messages, journal } = core.collections;
    await mailboxes.updateOne(
      { _id: box },
      { $set: { 'teal.lease': { by: 'dead', at: new Date(0) } }, $inc: { 'teal.fence': 1 } },
    );
    const found = await messages.findOne({ mailbox: box, uid: 3 });
    assert.ok(found && before);
    const modseq = before.highestModseq + 1;
    const { user, thread } = found;
    const entry = { command: 'EXPUNGE', mailbox: box, user, uid: 3, message: found._id, modseq, thread };
    await journal.insertOne({ ...entry, unseen: true, created: new Date() });
    const heard = quick.changes.length;
    assert.equal(await deliver(text('next')), 5);
    assert.deepEqual((await visible())?.uids, [1, 2, 4, 5]);
    const since = quick.changes.slice(heard).filter((change) => 'mailbox' in change);
    assert.deepEqual(
      since.map(({ kind }) => kind),
      ['expunge', 'exists'],
    );
    assert.deepEqual((await quick.store.messages.expungedSince(inbox, before.highestModseq)).uids, [3]);
    const { used } = await quick.store.accounts.quota(account);
    assert.equal(used, 3 * text('message 0').length + text('next').length);
  });
});
