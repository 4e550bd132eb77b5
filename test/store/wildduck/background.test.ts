import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ObjectId } from 'mongodb';
import type { Collection } from 'mongodb';
import { hour, minute } from '../../../src/clock.ts';
import type { MailboxId } from '../../../src/store/contract.ts';
import { createBackground, giveLease, takeLease } from '../../../src/store/wildduck/background.ts';
import type { LeaseDocument, Task } from '../../../src/store/wildduck/background.ts';
import { createUpkeep } from '../../../src/store/wildduck/upkeep.ts';
import { createTestClock } from '../../harness/clock.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');
const noFault = (where: string, error: Error) => assert.fail(`${where}: ${error.message}`);

describe('work in the background', { skip }, () => {
  let database: TestDatabase;
  let leases: Collection<LeaseDocument>;
  before(async () => {
    database = await openTestDatabase();
    leases = database.database.collection('teal.leases');
  });
  after(() => database[Symbol.asyncDispose]());

  test('of several that reach for a lease one has it, until it gives it back or the database’s clock says so', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const take = (name: string) => takeLease(leases, 'thing', name, minute);
    const taken = await Promise.all(names.map(take));
    assert.ok(taken.filter((got) => got).length <= 1);
    const winner = names.find((_, index) => taken[index]) ?? 'a';
    assert.equal(await take(winner), true, 'it may renew it');
    const other = winner === 'b' ? 'c' : 'b';
    assert.equal(await take(other), false);
    await giveLease(leases, 'thing', other);
    assert.equal(await take(other), false, 'nobody gives back what is another’s');
    await giveLease(leases, 'thing', winner);
    assert.equal(await take(other), true);
    assert.equal(await take(winner), false);
    // It died a while ago.
    await leases.updateOne({ _id: 'thing' }, { $set: { until: new Date(Date.now() - 1) } });
    assert.equal(await take(winner), true);
    const document = await leases.findOne({ _id: 'thing' });
    assert.equal(document?.fence, 3, 'one for each that had it');
    assert.ok(document.until.getTime() > Date.now() + 50_000);
  });

  test('tasks run in one process, each at its time, and in another when that one ends', async () => {
    const clock = createTestClock();
    const runs: string[] = [];
    const start = (process: string) => {
      const task = (name: string, every: number): Task => ({
        name,
        every,
        run: async () => void runs.push(`${process} ${name}`),
      });
      const tasks = [task('often', minute), task('seldom', 12 * hour)];
      return createBackground({ leases, name: process, clock, onFault: noFault, tasks });
    };
    const count = (run: string) => runs.filter((each) => each === run).length;
    /** Minutes pass until it is so. */
    const until = async (wanted: () => boolean) => {
      for (let minutes = 0; !wanted(); minutes += 1) {
        assert.ok(minutes < 600, `in ten hours: ${runs.join(', ')}`);
        clock.advance(minute);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    const first = start('first');
    await until(() => count('first seldom') === 1);
    const second = start('second');
    await until(() => count('first often') >= 4);
    assert.equal(count('first seldom'), 1);
    assert.equal(count('second often'), 0);
    await first[Symbol.asyncDispose]();
    const before = count('first often');
    await until(() => count('second often') >= 2);
    assert.equal(count('second seldom'), 1);
    assert.equal(count('first often'), before);
    await second[Symbol.asyncDispose]();
    assert.equal(clock.waiting, 0);
  });

  test('a task that fails is a fault, the others run; the end of the process ends one that takes long', async () => {
    const clock = createTestClock();
    const faults: string[] = [];
    let begun: () => void;
    const running = new Promise<void>((resolve) => (begun = resolve));
    const background = createBackground({
      leases,
      name: 'failing',
      clock,
      onFault: (where, error) => faults.push(`${where}: ${error.message}`),
      tasks: [
        { name: 'bad', every: hour, run: () => Promise.reject(new Error('no')) },
        {
          name: 'long',
          every: hour,
          run: async (signal) => {
            begun();
            await new Promise((resolve) => signal.addEventListener('abort', resolve));
          },
        },
      ],
    });
    await running;
    assert.deepEqual(faults, ['store bad: no']);
    await background[Symbol.asyncDispose]();
  });
});

describe('what WildDuck’s programs leave to be done later', { skip }, () => {
  let database: TestDatabase;
  const clock = createTestClock();
  const asked: unknown[] = [];
  let tasks: readonly Task[];
  before(async () => {
    database = await openTestDatabase();
    const found = database.database.collection('messages');
    tasks = await createUpkeep({
      database: database.database,
      clock,
      messages: {
        storeFlags: async (...call) => {
          asked.push(call);
          return { changed: [], refused: [] };
        },
        expunge: async (mailbox, uids) => {
          asked.push([mailbox, uids]);
          await found.deleteMany({ mailbox: new ObjectId(mailbox), uid: { $in: uids } });
          return uids === 'all' ? [] : uids;
        },
      },
      removeAccount: async (user) => void asked.push(user.toHexString()),
      releaseFiles: async (files) => void asked.push(files.map(String)),
    });
  });
  after(() => database[Symbol.asyncDispose]());
  const run = async (name: string) => {
    asked.length = 0;
    await tasks.find((task) => task.name === name)?.run(new AbortController().signal);
  };
  const collection = (name: string) => database.database.collection<{ _id: ObjectId | string }>(name);

  test('the archive of expunged mail is emptied, its parts no longer counted, and those of nobody removed', async () => {
    const file = new ObjectId();
    const file2 = new ObjectId();
    const messages = [
      { magic: 5, mimeTree: { attachmentMap: { ATT1: 'digest 1', ATT2: 'digest 2' } } },
      { magic: 7, mimeTree: { attachmentMap: { ATT1: 'digest 2' } } },
      { magic: 9, mimeTree: { attachmentMap: { ATT1: file } }, teal: { file } },
      { magic: 11, mimeTree: { attachmentMap: { ATT1: 'digest 3' } }, teal: { file: file2 } },
      { magic: 1 },
    ].map((message) => ({ _id: new ObjectId(), exp: true, rdate: clock.now() + 25 * 24 * hour, ...message }));
    await collection('archived').insertMany(messages);
    await database.database
      .collection<{ _id: ObjectId | string; metadata: object }>('attachments.files')
      .insertMany([
        { _id: 'digest 1', metadata: { c: 1, m: 5 } },
        { _id: 'digest 2', metadata: { c: 3, m: 22 } },
        { _id: 'digest 3', metadata: { c: 1, m: 11 } },
        { _id: 'never counted', metadata: { c: 0, m: 0 } },
        { _id: file, metadata: { c: 0, m: 0, teal: true } },
      ]);
    await collection('attachments.chunks').insertMany(
      ['digest 1', 'digest 2', 'never counted'].map((files_id) => ({ _id: new ObjectId(), files_id, n: 0 })),
    );
    await run('archive');
    assert.equal(await collection('archived').countDocuments(), 0);
    assert.deepEqual(asked, [[String(file), String(file2)]]);
    await run('orphaned parts');
    const left = async () =>
      (await collection('attachments.files').find().toArray()).map(({ _id }) => String(_id));
    assert.deepEqual((await left()).sort(), ['digest 1', 'digest 2', 'digest 3', String(file)].sort());
    clock.advance(hour + 1);
    await run('orphaned parts');
    assert.deepEqual((await left()).sort(), ['digest 2', String(file)].sort());
    const kept = await collection('attachments.files').findOne({ _id: 'digest 2' });
    assert.deepEqual(kept && 'metadata' in kept && { ...(kept.metadata as object), cu: 0 }, {
      c: 1,
      m: 10,
      cu: 0,
    });
    assert.equal(await collection('attachments.chunks').countDocuments(), 1);
  });

  test('messages past their time are deleted as by a client, so that sessions hear of it', async () => {
    const mailbox = new ObjectId();
    const message = (uid: number, rdate: number, exp = true) => ({
      _id: new ObjectId(),
      mailbox,
      uid,
      exp,
      rdate,
    });
    const now = clock.now();
    await collection('messages').insertMany([
      message(1, now - 1),
      message(2, now),
      message(3, now + 1),
      message(4, 0, false),
    ]);
    await run('expired messages');
    const id = mailbox.toHexString() as MailboxId;
    assert.deepEqual(asked, [
      [id, [1, 2], { action: 'add', flags: ['\\Deleted'] }],
      [id, [1, 2]],
    ]);
    assert.equal(await collection('messages').countDocuments(), 2);
  });

  test('accounts that were deleted through WildDuck’s API go wholly, at their time', async () => {
    const [now, later] = [new ObjectId(), new ObjectId()];
    await collection('deletedusers').insertMany([{ _id: now }, { _id: later }]);
    await collection('tasks').insertMany(
      [
        { task: 'user-delete', status: 'waiting', lockedUntil: new Date(clock.now()), data: { user: now } },
        {
          task: 'user-delete',
          status: 'delayed',
          lockedUntil: new Date(clock.now() + hour),
          data: { user: later },
        },
        { task: 'quota', status: 'waiting', data: {} },
      ].map((task) => ({ _id: new ObjectId(), ...task })),
    );
    await run('accounts');
    assert.deepEqual(asked, [now.toHexString()]);
    assert.equal(await collection('tasks').countDocuments(), 2);
    clock.advance(hour);
    await run('accounts');
    assert.deepEqual(asked, [later.toHexString()]);
    assert.equal(await collection('deletedusers').countDocuments(), 0);
  });
});
