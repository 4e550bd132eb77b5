import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { StoreUnavailable } from '../../../src/store/contract.ts';
import type { AccountId, MailboxId, Store } from '../../../src/store/contract.ts';
import type { ThreadData } from '../../../src/store/sqlite/protocol.ts';
import { createThread } from '../../../src/store/sqlite/thread.ts';
import { openTestStore } from '../../harness/store.ts';

/** Starts the store's real threads and keeps them, so that a test can end one. */
function createSpawn() {
  const threads: { entry: string; worker: Worker }[] = [];
  return {
    threads,
    spawn: (entry: URL, data: ThreadData) => {
      const worker = new Worker(entry, { workerData: data });
      threads.push({ entry: entry.pathname.split('/').at(-1) ?? '', worker });
      return worker;
    },
    kill: async (entry: string) => {
      await threads.findLast((thread) => thread.entry === entry)?.worker.terminate();
    },
    count: (entry: string) => threads.filter((thread) => thread.entry === entry).length,
  };
}

async function inboxOf(store: Store): Promise<{ account: AccountId; inbox: MailboxId }> {
  const { account } = await store.accounts.create('a@x', 'h', 0);
  const inbox = await store.mailboxes.find(account.id, 'INBOX');
  assert.ok(inbox);
  return { account: account.id, inbox: inbox.id };
}

const message = (size: number) => ({ now: 0, message: Buffer.alloc(size, 'x'), headerSize: size });

/** Tries until it works: the thread is started again within a second or so. */
async function eventually<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

describe('when the writer thread dies', () => {
  test('everything pending is settled, what resolved is there, and the store goes on with a new one', async () => {
    const { spawn, kill, count } = createSpawn();
    await using opened = await openTestStore({ spawn, onFault: () => {} });
    const { store } = opened;
    const { account, inbox } = await inboxOf(store);
    let acknowledged = 0;
    for (let round = 0; round < 2; round += 1) {
      const asked = Array.from({ length: 200 }, (_, n) =>
        store.accept({ ...message(n % 20 === 0 ? 300_000 : 5000), deliveries: [{ account, push: false }] }),
      );
      await asked[30];
      await kill('writer.ts');
      const outcomes = await Promise.allSettled(asked);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof StoreUnavailable);
      acknowledged += outcomes.filter(({ status }) => status === 'fulfilled').length;
      await eventually(() => store.ping());
      assert.equal(count('writer.ts'), round + 2);
    }
    const snapshot = await store.messages.snapshot(inbox);
    assert.ok(snapshot && snapshot.uids.length >= acknowledged && acknowledged > 0);
    assert.deepEqual(
      snapshot.uids,
      snapshot.uids.map((_, n) => n + 1),
    );
    for (const uid of snapshot.uids) {
      await using body = await store.messages.body(inbox, uid);
      assert.equal((await body?.read(0, body.size))?.length, body?.size, 'with its file, if it has one');
    }
  });

  test('it is started again at most once a second', async () => {
    const { spawn, kill, count } = createSpawn();
    await using opened = await openTestStore({ spawn, onFault: () => {} });
    const begun = performance.now();
    for (let n = 0; n < 3; n += 1) {
      await kill('writer.ts');
      await assert.rejects(opened.store.ping(), StoreUnavailable, 'at once, not when it is back');
      await eventually(() => opened.store.ping());
    }
    const seconds = (performance.now() - begun) / 1000;
    assert.equal(count('writer.ts'), 4);
    assert.ok(seconds > 1.8, `three new ones within ${seconds} s`);
  });
});

test('when the reader thread dies, lists are unavailable until a new one is there; writes go on', async () => {
  const { spawn, kill } = createSpawn();
  await using opened = await openTestStore({ spawn, onFault: () => {} });
  const { store } = opened;
  const { account, inbox } = await inboxOf(store);
  const asked = Array.from({ length: 50 }, () => store.messages.snapshot(inbox));
  await kill('reader.ts');
  for (const outcome of await Promise.allSettled(asked))
    if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof StoreUnavailable);
  await store.accept({ ...message(10), deliveries: [{ account, push: false }] });
  assert.deepEqual((await eventually(() => store.messages.snapshot(inbox)))?.uids, [1]);
});

test('while another process holds the database writes are unavailable, reads go on, and so do writes afterwards', async () => {
  await using opened = await openTestStore({ busyTimeout: 50 });
  const { store, dataDir } = opened;
  const { account, inbox } = await inboxOf(store);
  {
    using other = new DatabaseSync(join(dataDir, 'store.db'));
    other.exec('BEGIN IMMEDIATE');
    for (const size of [100, 300_000])
      await assert.rejects(
        store.accept({ ...message(size), deliveries: [{ account, push: false }] }),
        StoreUnavailable,
      );
    await assert.rejects(store.ping(), StoreUnavailable);
    assert.deepEqual((await store.messages.snapshot(inbox))?.uids, []);
    assert.ok(await store.accounts.find('a@x'));
    other.exec('ROLLBACK');
  }
  await store.accept({ ...message(100), deliveries: [{ account, push: false }] });
  assert.deepEqual(
    opened.changes.map((change) => change.kind === 'exists' && change.uid),
    [1],
  );
});

test('more bytes than 64 MB on the way to the writer are turned away at once; what was taken is written', async () => {
  await using opened = await openTestStore({ quota: 1024 ** 3 });
  const { store } = opened;
  const { account, inbox } = await inboxOf(store);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 400 }, () =>
      store.accept({ ...message(200_000), deliveries: [{ account, push: false }] }),
    ),
  );
  const taken = outcomes.filter(({ status }) => status === 'fulfilled').length;
  assert.ok(taken > 300 && taken < 340, `${taken} taken`);
  for (const outcome of outcomes)
    if (outcome.status === 'rejected')
      assert.match(String(outcome.reason), /StoreUnavailable: more is waiting/);
  assert.equal((await store.messages.snapshot(inbox))?.uids.length, taken);
  await store.accept({ ...message(200_000), deliveries: [{ account, push: false }] });
});

test('a thread that cannot start says so, and one that ends before it is ready does not hang', async () => {
  const start = (code: string) =>
    createThread({
      spawn: () => new Worker(code, { eval: true }),
      maxPendingBytes: 1000,
      onChanges: () => {},
      onFault: () => {},
    });
  for (const [code, reason] of [
    ["require('worker_threads').parentPort.postMessage({ kind: 'failed', message: 'no disk' })", /no disk/],
    ['process.exit(3)', /ended while it was starting/],
    ["throw new Error('broken')", /ended while it was starting/],
  ] as const) {
    await using thread = start(code);
    await assert.rejects(thread.ready, reason);
    await assert.rejects(thread.ask({}, 0), StoreUnavailable);
  }
});
