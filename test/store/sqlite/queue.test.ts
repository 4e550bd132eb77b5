import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { ClaimWish, RowOutcome } from '../../../src/store/contract.ts';
import { runBatch } from '../../../src/store/sqlite/batch.ts';
import { openForWriting } from '../../../src/store/sqlite/database.ts';
import type { Database } from '../../../src/store/sqlite/database.ts';
import { migrate } from '../../../src/store/sqlite/migrate.ts';
import type { WriteArgument, WriteName, WriteResult } from '../../../src/store/sqlite/operations.ts';
import { openSqliteQueueListing } from '../../../src/store/sqlite/queue-listing.ts';
import { nextQueueDue } from '../../../src/store/sqlite/reads/queue.ts';
import { MAX_CLAIMED_AT_ONCE } from '../../../src/store/sqlite/writes/queue.ts';
import { openTestStore } from '../../harness/store.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'teal-queue-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const wish: ClaimWish = { limit: 100, perDestination: 100, rowsPerBatch: 100, leaseMs: 1000, except: [] };
const outgoing = (...addresses: readonly string[]) => ({
  sender: 's@x',
  recipients: addresses.map((address) => ({ address, destination: address.split('@')[1]! })),
});
const plan = (message: Buffer, ...addresses: readonly string[]) => ({
  now: 0,
  message,
  headerSize: 14,
  deliveries: [],
  outgoing: outgoing(...addresses),
});
/** A message whose text can be found again; above 256 KB it is in a file. */
const marked = (mark: string, size: number) =>
  Buffer.from(`Subject: s\r\n\r\n${mark}${'x'.repeat(size)}${mark}`);

describe('with 100,000 rows waiting', () => {
  const ROWS = 100_000;
  const DESTINATIONS = 5000;
  const NOW = 1_000_000;

  /** Most for one dead destination, due and not due; the rest for many others, all of them due. */
  function fill(database: Database): void {
    database.exec(`
      BEGIN;
      INSERT INTO body (id, size, header_size, header, text) VALUES (1, 0, 0, x'', x'');
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
        INSERT INTO queue_message (id, body, sender, queued_at) SELECT i, 1, 's@x', i FROM n;
      INSERT INTO queue_row
        SELECT id, iif(id % 10 = 0, 'd' || (id / 10 % ${DESTINATIONS}) || '.example', 'dead.example'), 0,
          'r' || id || '@x', 1, iif(id % 3 = 0, ${2 * NOW}, id), 0, 0, 'no route' FROM queue_message;
      INSERT INTO queue_destination SELECT destination, min(due) FROM queue_row GROUP BY destination;
      COMMIT;
    `);
  }

  test('one new row is taken and given by look-ups alone: nothing scans or sorts what waits', () => {
    using database = openForWriting(join(dataDir, 'store.db'));
    migrate(database);
    fill(database);
    const texts = new Set<string>();
    const noted = (sql: string) => {
      texts.add(sql);
      return sql;
    };
    const watched: Database = {
      get: (sql, ...rest) => database.get(noted(sql), ...rest),
      all: (sql, ...rest) => database.all(noted(sql), ...rest),
      run: (sql, ...rest) => database.run(noted(sql), ...rest),
      exec: (sql) => database.exec(sql),
      atOneInstant: (read) => database.atOneInstant(read),
      get inTransaction() {
        return database.inTransaction;
      },
      [Symbol.dispose]: () => {},
    };
    const call = <Name extends WriteName>(name: Name, argument: WriteArgument<Name>): WriteResult<Name> => {
      const [answer] = runBatch(watched, 1000, [{ id: 1, call: { name, argument, bytes: 0 } }]).answers;
      assert.equal(answer?.kind, 'done');
      return answer.kind === 'done' ? (answer.value as WriteResult<Name>) : assert.fail();
    };

    const body = { kind: 'inline', bytes: new Uint8Array(0), headerSize: 0 } as const;
    call('accept', { now: 0, body, deliveries: [], outgoing: outgoing('new@new.example') });
    const except = ['dead.example', ...Array.from({ length: 900 }, (_, n) => `d${n}.example`)];
    const { batches } = call('claimRows', { ...wish, now: NOW, limit: 1, except, taken: new Map() });
    assert.deepEqual(
      batches.map(({ destination }) => destination),
      ['new.example'],
    );
    const outcomes: RowOutcome[] = [{ kind: 'retry', at: NOW, reason: 'later' }];
    call('settleRows', { batch: batches[0]!, outcomes });
    const again = call('claimRows', { ...wish, now: NOW, limit: 1, except: [], taken: new Map() });
    assert.equal(again.batches[0]?.destination, 'dead.example', 'due the longest');
    call('settleRows', { batch: again.batches[0], outcomes: [{ kind: 'done' }] });
    assert.ok(nextQueueDue(watched, except));
    call('claimRows', { ...wish, now: NOW, limit: 1, only: ['new.example'], taken: new Map() });

    assert.ok(texts.size >= 13, `${texts.size} statements were seen`);
    for (const sql of texts) {
      if (!/^\s*(SELECT|INSERT|UPDATE|DELETE)/.test(sql)) continue;
      const steps = database.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).map(({ detail }) => detail);
      for (const detail of steps) {
        // What is excepted is a list of its own; of destinations the first that is not in it is taken, by their index.
        const bounded =
          /^SCAN (json_each|CONSTANT ROW|queue_destination USING COVERING INDEX queue_destination_due)/;
        assert.ok(!/\bSCAN\b|TEMP B-TREE/.test(detail) || bounded.test(detail), `${detail}: ${sql}`);
      }
    }
  });

  test('a large claim comes in slices, each with no more rows than it may hold the writer for', () => {
    using database = openForWriting(join(dataDir, 'store.db'));
    migrate(database);
    fill(database);
    const slice = () =>
      runBatch(database, 1000, [
        {
          id: 1,
          call: {
            name: 'claimRows',
            argument: { ...wish, now: NOW, limit: 50_000, perDestination: 50_000, taken: new Map() },
            bytes: 0,
          },
        },
      ]).answers[0];
    for (let n = 0; n < 2; n += 1) {
      const answer = slice();
      assert.equal(answer?.kind, 'done');
      const { batches, more } = (answer as { value: { batches: unknown[]; more: boolean } }).value;
      assert.equal(batches.length, MAX_CLAIMED_AT_ONCE);
      assert.ok(more);
    }
  });
});

test('what has been sent is nowhere in the files any more', async () => {
  const holds = (bytes: string) => spawnSync('grep', ['-rqF', '--', bytes, dataDir]).status === 0;
  await using opened = await openTestStore({ dataDir });
  const { store } = opened;
  for (const size of [10, 50_000, 300_000]) await store.accept(plan(marked('tracer', size), 'to@y', 'to@z'));
  await store.accept(plan(marked('kept', 300_000), 'to@w'));
  assert.ok(holds('tracer') && holds('kept'));
  const batches = await store.queue.claim(0, { ...wish, except: ['w'] });
  for (const batch of batches) {
    await store.queue.keepSignature(batch.message, { keys: 'k', fields: 'tracer of a signature' });
    await store.queue.settle(batch, [{ kind: 'done' }]);
  }
  assert.equal(readdirSync(join(dataDir, 'bodies')).length, 1, 'the file is gone when the promise resolves');
  const deadline = performance.now() + 10_000;
  // The writer truncates its log by itself when it is idle.
  while (holds('tracer')) {
    assert.ok(performance.now() < deadline, 'still there');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(holds('kept'));
});

test('the file of a message that waits is no orphan when the store is opened again, and its row is whole', async () => {
  const message = marked('waits', 300_000);
  {
    await using opened = await openTestStore({ dataDir });
    await opened.store.accept(plan(message, 'a@y', 'b@y'));
    await opened.store.queue.claim(0, wish);
  }
  await using opened = await openTestStore({ dataDir });
  const [batch] = await opened.store.queue.claim(1000, wish);
  assert.ok(batch);
  assert.equal(batch.fence, 2);
  await using body = await opened.store.queue.body(batch.message);
  assert.ok((await body?.read(0, message.length))?.equals(message));
});

test('a refused plan with recipients elsewhere leaves nothing behind', async () => {
  await using opened = await openTestStore({ dataDir });
  await assert.rejects(opened.store.accept(plan(marked('x', 300_000))), RangeError);
  assert.deepEqual(readdirSync(join(dataDir, 'bodies')), []);
  assert.deepEqual(opened.changes, []);
});

test('a command sees what waits beside the store that runs, and changes nothing', async () => {
  assert.throws(() => openSqliteQueueListing(join(dataDir, 'nowhere')), /there is no store/);
  await using opened = await openTestStore({ dataDir });
  const { queue } = opened.store;
  await using listing = openSqliteQueueListing(dataDir);
  assert.deepEqual(await listing.destinations(10), []);
  await opened.store.accept(plan(marked('x', 10), 'a@y', 'b@y', 'c@z'));
  assert.deepEqual(await listing.destinations(10), await queue.destinations(10));
  assert.equal((await listing.destinations(10)).length, 2);
  assert.deepEqual(await listing.rows('y', 10), await queue.rows('y', 10));
  assert.equal((await listing.rows('y', 10)).length, 2);
  assert.equal((await queue.claim(0, wish)).length, 2, 'nothing is locked');
});

test('a command also sees it where no Teal is running, but not in another version’s schema', async () => {
  {
    await using opened = await openTestStore({ dataDir });
    await opened.store.accept(plan(marked('x', 10), 'a@y'));
  }
  {
    await using listing = openSqliteQueueListing(dataDir);
    assert.equal((await listing.rows('y', 10)).length, 1);
  }
  {
    using database = new DatabaseSync(join(dataDir, 'store.db'));
    database.exec('PRAGMA user_version = 1');
  }
  assert.throws(() => openSqliteQueueListing(dataDir), /another version of Teal/);
});

test('what a process had claimed when it ended is due again at once for the next', async () => {
  {
    await using first = await openTestStore({ dataDir });
    await first.store.accept(plan(marked('m', 1), 'a@x', 'b@y'));
    const [batch, other] = await first.store.queue.claim(0, { ...wish, leaseMs: 1_000_000 });
    assert.ok(batch && other);
    await first.store.queue.settle(batch, [{ kind: 'retry', at: 500, reason: 'later' }]);
  }
  await using next = await openTestStore({ dataDir });
  const freed = await next.store.queue.claim(1, wish);
  assert.equal(freed.length, 1, 'what was put off keeps its time');
  assert.equal(freed[0]?.rows[0]?.attempts, 0);
});
