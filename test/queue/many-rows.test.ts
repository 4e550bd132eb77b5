import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hour } from '../../src/clock.ts';
import { openForWriting } from '../../src/store/sqlite/database.ts';
import { migrate } from '../../src/store/sqlite/migrate.ts';
import type { Store } from '../../src/store/contract.ts';
import type { StoreName } from '../../src/stores.ts';
import { createTestClock } from '../harness/clock.ts';
import { onEachStore } from '../harness/each-store.ts';
import { openTestStore } from '../harness/store.ts';
import { acceptMail, startWorker, until } from './worker-at-hand.ts';

const ROWS = 100_000;
const DESTINATIONS = 50;
const NOW = Date.UTC(2026, 0, 2, 12);

/** A store in which so many rows wait for their next try, each of a message of its own. */
const openers: Readonly<Record<StoreName, (rows: number, all: AsyncDisposableStack) => Promise<Store>>> = {
  async sqlite(rows, all) {
    const dataDir = await mkdtemp(join(tmpdir(), 'teal-queue-'));
    all.defer(() => rm(dataDir, { recursive: true }));
    {
      using database = openForWriting(join(dataDir, 'store.db'));
      migrate(database);
      if (rows > 0)
        database.exec(`
          BEGIN;
          INSERT INTO body (id, size, header_size, header, text) VALUES (1, 0, 0, x'', x'');
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
            INSERT INTO queue_message (id, body, sender, queued_at) SELECT i, 1, 's@x', ${NOW} FROM n;
          INSERT INTO queue_row
            SELECT id, 'dead' || (id % ${DESTINATIONS}) || '.test', 0, 'r' || id || '@x', 1, ${NOW + hour} + id, 0, 0, ''
            FROM queue_message;
          INSERT INTO queue_destination SELECT destination, min(due) FROM queue_row GROUP BY destination;
          COMMIT;
        `);
    }
    return all.use(await openTestStore({ dataDir })).store;
  },
  async wildduck(rows, all) {
    const { ObjectId } = await import('mongodb');
    const { openTestWildduck } = await import('../harness/wildduck-store.ts');
    const { store, database } = all.use(await openTestWildduck({ clock: createTestClock(NOW) }));
    const of = (n: number) => `dead${n % DESTINATIONS}.test`;
    const due = Date.now() + hour;
    const waiting = Array.from({ length: rows }, (_, n) => ({
      message: new ObjectId(),
      run: new ObjectId(),
      number: 0,
      destination: of(n),
      recipient: `r${n}@${of(n)}`,
      queuedAt: due - 2 * hour,
      due: due + n,
      attempts: 1,
      fence: 0,
      reason: '',
    }));
    while (waiting.length > 0)
      await database.database
        .collection('teal.queue')
        .insertMany(waiting.splice(0, 10_000), { ordered: false });
    if (rows > 0)
      await database.database
        .collection<{ _id: string }>('teal.queue.destinations')
        .insertMany(
          Array.from({ length: DESTINATIONS }, (_, n) => ({ _id: of(n), due, version: new ObjectId() })),
        );
    return store;
  },
};

/** What one message costs that is accepted and leaves, as the number of questions to the store until nothing is to be done. */
async function questions(name: StoreName, rows: number): Promise<number> {
  await using all = new AsyncDisposableStack();
  const store = await openers[name](rows, all);
  const clock = createTestClock(NOW);
  const { worker, sendings, watch, wake } = startWorker(store, clock);
  all.use(worker);
  const isIdle = () => clock.nextDue !== undefined && watch.waiting === 0;
  await until(isIdle, 'it waits');
  assert.equal(sendings.length, 0);
  watch.asked = 0;
  await acceptMail(store, NOW, ['carol@good.test']);
  wake();
  await until(() => sendings.length === 1, 'it is under way');
  assert.equal(sendings[0]?.consignment.destination, 'good.test');
  sendings[0].answer();
  await until(() => watch.settled === 1 && isIdle(), 'it waits again');
  return watch.asked;
}

onEachStore(`with ${ROWS} rows waiting`, false, (store) => {
  test('the next message leaves first, for as many questions to the store as with none', async () => {
    const [alone, beside] = [await questions(store, 0), await questions(store, ROWS)];
    assert.equal(beside, alone);
    assert.ok(alone < 12, `${alone} questions`);
  });
});
