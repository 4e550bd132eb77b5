import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Binary, ObjectId } from 'mongodb';
import type { ClaimWish, Plan, QueueBatch, Store } from '../../../src/store/contract.ts';
import type { PlanDocument, QueueRowDocument } from '../../../src/store/wildduck/documents.ts';
import { objectId } from '../../../src/store/wildduck/ids.ts';
import { headerSize, mailbox, minute, sized, start, text } from '../../contract/fixture.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';
import type { TestWildduck } from '../../harness/wildduck-store.ts';

/** To the one that completes what others left they are dead at once; to the rest nobody is, however slow the machine. */
const EXPIRED = 1;
const wish: ClaimWish = {
  limit: 100,
  perDestination: 10,
  rowsPerBatch: 100,
  leaseMs: minute,
  except: [],
};

function plan(message: Buffer, ...recipients: string[]): Plan {
  return {
    now: start,
    message,
    headerSize: headerSize(message),
    deliveries: [],
    outgoing: {
      sender: 'a@example.org',
      recipients: recipients.map((address) => ({ address, destination: address.split('@')[1] ?? '' })),
    },
  };
}

const recipients = (batches: readonly QueueBatch[]) =>
  batches.flatMap(({ rows }) => rows.map(({ recipient }) => recipient)).sort();

async function settleAll(store: Store, batches: readonly QueueBatch[]) {
  for (const batch of batches)
    await store.queue.settle(
      batch,
      batch.rows.map(() => ({ kind: 'done' as const })),
    );
}

async function eventually(what: string, holds: () => Promise<boolean>) {
  for (const until = Date.now() + 10_000; !(await holds());) {
    assert.ok(Date.now() < until, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('the queue in MongoDB', { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') }, () => {
  let database: TestDatabase;
  let opened: TestWildduck;
  before(async () => {
    database = await openTestDatabase();
    opened = await openTestWildduck({}, database);
  });
  after(async () => {
    await opened[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
  const plans = () => database.database.collection<PlanDocument>('teal.plans');
  const rows = () => database.database.collection<QueueRowDocument>('teal.queue');
  const files = () => database.database.collection('attachments.files').countDocuments();

  /** As a process leaves it that dies between the plan and its end. */
  const leave = async (message: Buffer, to: readonly string[], more: Partial<PlanDocument> = {}) => {
    const size = headerSize(message);
    const _id = new ObjectId();
    await plans().insertOne({
      _id,
      at: new Date(Date.now() - 60_000),
      fence: 1,
      now: start,
      size: message.length,
      headerSize: size,
      magic: 1,
      head: new Binary(message.subarray(0, size)),
      message: new Binary(message.subarray(size)),
      deliveries: [],
      sender: 'a@example.org',
      recipients: to.map((address) => ({ address, destination: address.split('@')[1] ?? '' })),
      ...more,
    });
    return _id;
  };
  const row = (message: ObjectId, recipient: string, run = new ObjectId()): QueueRowDocument => ({
    _id: new ObjectId(),
    message,
    run,
    number: 0,
    destination: recipient.split('@')[1] ?? '',
    recipient,
    queuedAt: start,
    due: start,
    attempts: 0,
    fence: 0,
    reason: '',
  });

  test('a plan that a dead process left is completed by any other: each recipient once, whatever it had written', async () => {
    await using completing = await openTestWildduck({ leaseMs: EXPIRED }, database);
    const { store } = completing;
    const { account } = await store.accounts.create('local@example.org', 'hash', start);
    const inbox = (await mailbox(store, account.id, 'INBOX')).id;
    const message = text('left behind');
    const told = completing.changes.length;
    // Not yet old, so that it is not taken before its rows are there.
    const id = await leave(message, ['b@one.test', 'c@one.test', 'd@two.test'], {
      at: new Date(Date.now() + minute),
      deliveries: [{ id: new ObjectId(), user: objectId(account.id)!, push: false, flags: [] }],
    });
    const [hint] = ['one.test'];
    await rows().insertOne(row(id, 'b@one.test'));
    await database.database
      .collection<{ _id: string }>('teal.queue.destinations')
      .insertOne({ _id: hint, due: start, version: new ObjectId() } as { _id: string });
    assert.deepEqual(await store.queue.claim(start, wish), [], 'nobody gets what is not yet accepted');
    const next = (await store.queue.nextDue([])) ?? 0;
    assert.ok(next > Date.now(), 'nor does anybody ask for it without a pause');
    await plans().updateOne({ _id: id }, { $set: { at: new Date(Date.now() - 60_000) } });
    await eventually(
      'nobody completes the plan',
      async () => (await plans().findOne({ _id: id }))?.run !== undefined,
    );
    await eventually('it is told', async () =>
      completing.changes.slice(told).some(({ kind }) => kind === 'queue'),
    );
    const batches = await store.queue.claim(start, wish);
    assert.deepEqual(recipients(batches), ['b@one.test', 'c@one.test', 'd@two.test']);
    await using body = await store.queue.body(batches[0]!.message);
    assert.deepEqual(await body?.read(0, body.size), message);
    assert.deepEqual((await store.messages.snapshot(inbox))?.uids, [1]);
    await settleAll(store, batches);
    assert.equal(await plans().countDocuments(), 0);
    assert.equal(await rows().countDocuments(), 0);
    assert.equal(await store.queue.nextDue([]), undefined);
  });

  test('rows of a try that came to nothing, or come late, are nobody’s, and go', async () => {
    const { store } = opened;
    await store.accept(plan(text('good'), 'b@one.test'));
    const [message] = await plans().find().toArray();
    assert.ok(message);
    // Of another try for the same message, and of a message that is gone.
    await rows().insertMany([row(message._id, 'b@one.test'), row(new ObjectId(), 'c@one.test')]);
    const batches = await store.queue.claim(start, wish);
    assert.deepEqual(recipients(batches), ['b@one.test']);
    assert.equal(await rows().countDocuments(), 1);
    await settleAll(store, batches);
    assert.equal(await plans().countDocuments(), 0);
  });

  test('a long message is kept once for mailbox and queue, until the last of both', async () => {
    const { store } = opened;
    const { account } = await store.accounts.create('long@example.org', 'hash', start);
    const inbox = (await mailbox(store, account.id, 'INBOX')).id;
    const message = sized(300_000);
    const expunge = async () => {
      await store.messages.storeFlags(inbox, [1, 2], { action: 'add', flags: ['\\Deleted'] });
      await store.messages.expunge(inbox, 'all');
    };
    const accept = () =>
      store.accept({ ...plan(message, 'b@one.test'), deliveries: [{ account: account.id, push: false }] });
    await accept();
    assert.equal(await files(), 1);
    await expunge();
    assert.equal(await files(), 1, 'the queue has it');
    const first = await store.queue.claim(start, wish);
    await using body = await store.queue.body(first[0]!.message);
    assert.ok((await body?.read(0, body.size))?.equals(message));
    await body?.[Symbol.asyncDispose]();
    await settleAll(store, first);
    assert.equal(await files(), 0);
    await accept();
    await settleAll(store, await store.queue.claim(start, wish));
    assert.equal(await files(), 1, 'the mailbox has it');
    await expunge();
    assert.equal(await files(), 0);
  });

  test('two processes share the rows without overlap, and one that died gives them back', async () => {
    await using other = await openTestWildduck({}, database);
    const stores = [opened.store, other.store];
    const to = Array.from({ length: 40 }, (_, n) => `b${n}@d${n % 8}.test`);
    await Promise.all(to.map((address) => opened.store.accept(plan(text(address), address))));
    assert.equal(other.changes.length, 0, 'the others look by themselves');
    assert.equal(await other.store.queue.nextDue([]), start);
    const few = { ...wish, limit: 25 };
    const claimed = await Promise.all(stores.map(({ queue }) => queue.claim(start, few)));
    const all = claimed.flat();
    assert.equal(new Set(recipients(all)).size, recipients(all).length, 'nothing twice');
    all.push(...(await opened.store.queue.claim(start, wish)));
    assert.deepEqual(recipients(all), to.toSorted());
    assert.deepEqual(await other.store.queue.claim(start + minute - 1, wish), []);
    // The first dies with all of it.
    const again = await other.store.queue.claim(start + minute, { ...wish, limit: 1000 });
    assert.deepEqual(recipients(again), to.toSorted());
    assert.ok(Math.min(...again.map(({ fence }) => fence)) > Math.max(...all.map(({ fence }) => fence)));
    await settleAll(opened.store, all);
    assert.equal(await rows().countDocuments(), to.length, 'it was only slow: what it says counts no more');
    await settleAll(other.store, again);
    assert.equal(await plans().countDocuments(), 0);
  });

  test('a claim and a look at what is next cost by what they give', async (t) => {
    const commands: string[] = [];
    await using counting = await openTestWildduck(
      {
        onCommand: ({ commandName, command }) => {
          const collection = String(command[commandName]);
          // What is looked at now and then whatever happens is no part of it.
          const isRound = 'filter' in command && 'at' in (command['filter'] as object);
          if (/^teal\.(plans|queue|counters)/.test(collection) && !isRound)
            commands.push(`${commandName} ${collection}`);
        },
      },
      database,
    );
    const { store } = counting;
    // Those of other tests, which nobody has come upon.
    await database.database.collection('teal.queue.destinations').deleteMany({});
    const atMost = async (most: number, what: string, work: () => Promise<unknown>) => {
      commands.length = 0;
      await work();
      const took = `${what}: ${commands.length} (${commands.join(', ')})`;
      t.diagnostic(took);
      assert.ok(commands.length > 0 && commands.length <= most, took);
    };
    await atMost(4, 'accept', () => store.accept(plan(text('one'), 'b@quick.test')));
    // Much mail that waits elsewhere, later and now.
    const waiting = await plans().findOne();
    const many = Array.from({ length: 3000 }, (_, n) => ({
      ...row(waiting!._id, `b@slow.test`, waiting!.run),
      due: n < 1500 ? start : start + minute,
    }));
    await rows().insertMany(many);
    let batches: readonly QueueBatch[] = [];
    await atMost(7, 'claim', async () => {
      batches = await store.queue.claim(start, { ...wish, limit: 1, except: ['slow.test'] });
    });
    assert.deepEqual(recipients(batches), ['b@quick.test']);
    await atMost(1, 'renew', () => store.queue.renew(start, batches, minute));
    await atMost(3, 'settle', () => settleAll(store, batches));
    await atMost(4, 'look what is next', () => store.queue.nextDue(['slow.test']));
    await rows().deleteMany({});
    await plans().deleteMany({});
  });
});
