import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AccountId, Store, StoreOptions } from '../../../src/store/contract.ts';
import { createDatabaseClock } from '../../../src/store/wildduck/database-clock.ts';
import type { CounterDocument } from '../../../src/store/wildduck/documents.ts';
import { createNextFence } from '../../../src/store/wildduck/fence.ts';
import { createPushJobs } from '../../../src/store/wildduck/push-jobs.ts';
import type { PushDocument } from '../../../src/store/wildduck/push-jobs.ts';
import { createTokens } from '../../../src/store/wildduck/tokens.ts';
import type { TokensDocument } from '../../../src/store/wildduck/tokens.ts';
import { createValues } from '../../../src/store/wildduck/values.ts';
import type { ValueDocument } from '../../../src/store/wildduck/values.ts';
import { accountSuite } from '../../contract/accounts.ts';
import { minute, start } from '../../contract/fixture.ts';
import { pushSuite } from '../../contract/push.ts';
import { createTestClock } from '../../harness/clock.ts';
import { without } from '../../harness/peers.ts';
import { openTestStore } from '../../harness/store.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

/** One process's push jobs and tokens. */
function createParts(
  { database }: TestDatabase,
  accountExists: (account: AccountId) => Promise<boolean>,
  databaseClock: Parameters<typeof createPushJobs>[0]['databaseClock'] = {
    toDatabase: (time) => time,
    fromDatabase: (time) => time,
  },
) {
  const jobs = database.collection<PushDocument>('teal.push');
  const tokens = createTokens({
    tokens: database.collection<TokensDocument>('teal.tokens'),
    accountExists,
    dropJobs: async (some) => void (await jobs.deleteMany({ _id: { $in: [...some] } })),
  });
  const nextFence = createNextFence({ counters: database.collection<CounterDocument>('teal.counters') });
  const pushJobs = createPushJobs({ jobs, tokens, databaseClock, nextFence });
  const values = createValues(database.collection<ValueDocument>('teal.values'));
  return { tokens, pushJobs, values };
}

/** The parts in the place of the first store's own: what the contract says of them holds whoever has the mail. */
async function openWithParts(options: StoreOptions): Promise<Store> {
  const database = await openTestDatabase();
  const sqlite = await openTestStore(options);
  const { store } = sqlite;
  const removed = new Set<AccountId>();
  const { tokens, pushJobs, values } = createParts(database, async (account) => !removed.has(account));
  return {
    ...store,
    tokens,
    pushJobs,
    values,
    accounts: {
      ...store.accounts,
      remove: async (account) => {
        removed.add(account);
        await tokens.removeAll(account);
        await store.accounts.remove(account);
      },
    },
    accept: async (plan) => {
      const accepted = await store.accept({
        ...plan,
        deliveries: plan.deliveries.map((delivery) => ({ ...delivery, push: false })),
      });
      const to = plan.deliveries.filter(
        ({ push }, index) => push && accepted.deliveries[index]?.kind === 'delivered',
      );
      const due = await pushJobs.pushTo(
        to.map(({ account }) => account),
        plan.now,
      );
      if (due) options.onChange({ kind: 'push' });
      return accepted;
    },
    [Symbol.asyncDispose]: async () => {
      await sqlite[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

describe('push jobs, tokens and values in MongoDB', { skip }, () => {
  pushSuite(openWithParts);
  accountSuite(openWithParts);

  describe('of several processes', () => {
    let database: TestDatabase;
    before(async () => void (database = await openTestDatabase()));
    after(() => database[Symbol.asyncDispose]());
    const account = 'an account' as AccountId;

    test('jobs are shared out without overlap, and those of one that died go to another', async () => {
      const processes = Array.from({ length: 3 }, () => createParts(database, async () => true));
      const [first] = processes;
      for (let n = 0; n < 30; n += 1) await first!.tokens.add(account, `token ${n}`, start);
      assert.equal(await first!.pushJobs.pushTo([account], start), true);
      const claimed = await Promise.all(processes.map(({ pushJobs }) => pushJobs.claim(start, 11, minute)));
      assert.deepEqual(claimed.map(({ length }) => length).sort(), [11, 11, 8]);
      assert.equal(new Set(claimed.flat().map(({ token }) => token)).size, 30);
      // The first dies; the others settle theirs.
      for (const job of claimed.slice(1).flat())
        await processes[1]!.pushJobs.settle(job, { kind: 'done', againAt: start });
      assert.deepEqual(await processes[1]!.pushJobs.claim(start + minute - 1, 100, minute), []);
      const taken = await processes[2]!.pushJobs.claim(start + minute, 100, minute);
      assert.deepEqual(
        new Set(taken.map(({ token }) => token)),
        new Set(claimed[0]!.map(({ token }) => token)),
      );
      // It was only slow: what it says now counts no more.
      for (const job of claimed[0]!) await first!.pushJobs.settle(job, { kind: 'gone' });
      assert.equal((await first!.tokens.list(account, start)).length, 30);
      for (const job of taken) await processes[2]!.pushJobs.settle(job, { kind: 'done', againAt: start });
      assert.equal(await first!.pushJobs.nextDue(), undefined);
    });

    test('a message for many accounts at once from several processes makes one job for each token', async () => {
      const processes = Array.from({ length: 4 }, () => createParts(database, async () => true));
      const accounts = Array.from({ length: 8 }, (_, n) => `member ${n}` as AccountId);
      for (const member of accounts) await processes[0]!.tokens.add(member, `of ${member}`, start);
      await Promise.all(processes.map(({ pushJobs }) => pushJobs.pushTo(accounts, start)));
      const jobs = await processes[0]!.pushJobs.claim(start, 100, minute);
      assert.deepEqual(
        jobs.map(({ token }) => token).sort(),
        accounts.map((member) => `of ${member}`),
      );
      for (const job of jobs) await processes[0]!.pushJobs.settle(job, { kind: 'done', againAt: start });
      assert.equal(await processes[0]!.pushJobs.nextDue(), undefined);
    });

    test('a lease is counted by the database’s clock: machines that disagree about the time agree about it', async () => {
      const right = createParts(database, async () => true);
      // A machine whose clock is an hour behind.
      const behind = {
        toDatabase: (time: number) => time + 60 * minute,
        fromDatabase: (time: number) => time - 60 * minute,
      };
      const wrong = createParts(database, async () => true, behind);
      await wrong.tokens.add(account, 'disputed', start);
      for (let n = 0; n < 30; n += 1) await right.tokens.forget(`token ${n}`);
      await wrong.pushJobs.pushTo([account], start - 60 * minute);
      const [mine] = await right.pushJobs.claim(start, 1, minute);
      assert.equal(mine?.token, 'disputed');
      assert.equal(mine.since, start);
      assert.equal(await wrong.pushJobs.nextDue(), start - 59 * minute);
      assert.deepEqual(await wrong.pushJobs.claim(start - 60 * minute + 59_999, 1, minute), []);
      const [theirs] = await wrong.pushJobs.claim(start - 59 * minute, 1, minute);
      assert.equal(theirs?.since, start - 60 * minute);
      await wrong.pushJobs.settle(theirs, { kind: 'done', againAt: start });
    });

    test('tokens that are set at once are all kept', async () => {
      const processes = Array.from({ length: 4 }, () => createParts(database, async () => true));
      const many = 'busy' as AccountId;
      await Promise.all(
        Array.from({ length: 12 }, (_, n) => processes[n % 4]!.tokens.add(many, `busy ${n}`, start + n)),
      );
      assert.deepEqual(
        await processes[0]!.tokens.list(many, start + 20),
        Array.from({ length: 12 }, (_, n) => `busy ${n}`),
      );
    });
  });
});

describe('the database’s clock', () => {
  const answer = (time: () => number) => ({ command: async () => ({ localTime: new Date(time()) }) });
  const noFault = (where: string, error: Error) => assert.fail(`${where}: ${error.message}`);

  test('is what times are translated to; a difference of a moment is none', async () => {
    const clock = createTestClock();
    let ahead = 3_600_000;
    using databaseClock = createDatabaseClock(
      answer(() => clock.now() + ahead),
      clock,
      noFault,
    );
    assert.equal(databaseClock.toDatabase(start), start);
    await databaseClock.measure();
    assert.equal(databaseClock.toDatabase(start), start + 3_600_000);
    assert.equal(databaseClock.fromDatabase(start + 3_600_000), start);
    ahead += 900;
    await databaseClock.measure();
    assert.equal(databaseClock.toDatabase(start), start + 3_600_000);
    ahead += 200;
    await databaseClock.measure();
    assert.equal(databaseClock.toDatabase(start), start + 3_601_100);
  });

  test('is asked for again now and then; where it does not answer, what was known stays', async () => {
    const clock = createTestClock();
    const faults: string[] = [];
    let asked = 0;
    const command = () => {
      asked += 1;
      return asked === 1
        ? Promise.resolve({ localTime: new Date(clock.now() + 5000) })
        : Promise.reject(new Error('away'));
    };
    using databaseClock = createDatabaseClock({ command }, clock, (where) => faults.push(where));
    await databaseClock.measure();
    for (const times of [2, 3]) {
      clock.advance(minute);
      await clock.timersSet();
      assert.equal(asked, times);
    }
    assert.deepEqual(faults, ['database clock'], 'said once');
    assert.equal(databaseClock.toDatabase(start), start + 5000);
    databaseClock[Symbol.dispose]();
    assert.equal(clock.waiting, 0);
  });
});
