import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLogin } from '../../../src/accounts/login.ts';
import { createEvents } from '../../../src/observe/events.ts';
import { createLog } from '../../../src/observe/log.ts';
import { systemClock, systemRandom } from '../../../src/machine.ts';
import { StoreUnavailable } from '../../../src/store/contract.ts';
import type { AccountId, Change, MailboxId, Store } from '../../../src/store/contract.ts';
import { openWildduckStore } from '../../../src/store/wildduck/open.ts';
import { headerSize, mailbox, text } from '../../contract/fixture.ts';
import { without } from '../../harness/peers.ts';
import { createProxyFor } from '../../harness/tcp-proxy.ts';
import type { TcpProxy } from '../../harness/tcp-proxy.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');
const now = Date.UTC(2026, 0, 1);

/** A store of its own on the database that others have too, as another process has it, with proxies before its servers. */
interface Process extends AsyncDisposable {
  readonly store: Store;
  readonly told: Change[];
  readonly faults: string[];
  readonly mongodb: TcpProxy;
  readonly redis: TcpProxy;
  /** Resolves when what was told satisfies `wanted`. */
  until(wanted: (told: readonly Change[]) => boolean, what: string): Promise<void>;
}

async function startProcess(
  database: TestDatabase,
  opened?: (starting: Promise<Store>) => void,
): Promise<Process> {
  await using begun = new AsyncDisposableStack();
  const mongodb = await createProxyFor(database.mongodbUrl);
  const redis = await createProxyFor(database.redisUrl);
  begun.use(mongodb.proxy);
  begun.use(redis.proxy);
  const told: Change[] = [];
  const faults: string[] = [];
  const watchers = new Set<() => void>();
  const starting = openWildduckStore({
    mongodbUrl: mongodb.url,
    redisUrl: redis.url,
    database: database.name,
    clock: systemClock,
    random: systemRandom,
    quota: 100_000_000,
    onFault: (where, error) => {
      faults.push(`${where}: ${error.message}`);
      for (const watch of watchers) watch();
    },
    onChange: (change) => {
      told.push(change);
      for (const watch of watchers) watch();
    },
  });
  opened?.(starting);
  const store = await starting;
  begun.use(store);
  const all = begun.move();
  return {
    store,
    told,
    faults,
    mongodb: mongodb.proxy,
    redis: redis.proxy,
    until: (wanted, what) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          watchers.delete(look);
          reject(new Error(`not within 20 s: ${what}; told: ${JSON.stringify(told.slice(-5))}`));
        }, 20_000);
        const look = () => {
          if (!wanted(told)) return;
          clearTimeout(late);
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function createInbox(store: Store, address: string) {
  const { account } = await store.accounts.create(address, 'hash', now);
  return { account: account.id, inbox: (await mailbox(store, account.id, 'INBOX')).id };
}

async function deliver(store: Store, account: AccountId, body: string) {
  const message = text(body);
  const deliveries = [{ account, push: false }];
  const accepted = await store.accept({ now, message, headerSize: headerSize(message), deliveries });
  const [outcome] = accepted.deliveries;
  assert.equal(outcome?.kind, 'delivered');
  return outcome.uid;
}

const outgoingOnly = {
  now,
  headerSize: headerSize(text('')),
  deliveries: [],
  outgoing: { sender: '', recipients: [{ address: 'b@other.test', destination: 'other.test' }] },
};
const wish = { limit: 1, perDestination: 1, rowsPerBatch: 1, leaseMs: 1000, except: [] };

const modseqs = (told: readonly Change[], inbox: MailboxId) =>
  told.flatMap((change) => ('modseq' in change && change.mailbox === inbox ? [change.modseq] : []));
const uids = (told: readonly Change[], inbox: MailboxId) =>
  told.flatMap((change) => (change.kind === 'exists' && change.mailbox === inbox ? [change.uid] : []));

/** Two on a database of their own. */
interface Pair extends AsyncDisposable {
  readonly one: Process;
  readonly other: Process;
}

/** Started at the same moment on an empty database. */
async function startPair(): Promise<Pair> {
  await using begun = new AsyncDisposableStack();
  const database = begun.use(await openTestDatabase());
  const started = await Promise.allSettled([startProcess(database), startProcess(database)]);
  const [one, other] = started.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return begun.use(each.value);
  });
  assert.ok(one && other);
  const all = begun.move();
  return { one, other, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

// Most of the time they wait for time-outs: all at once.
describe('several processes on one database', { skip, concurrency: true }, () => {
  test('what one does the other hears, within moments and in order', async () => {
    await using pair = await startPair();
    const { one, other } = pair;
    const { account, inbox } = await createInbox(one.store, 'heard@example.org');
    const snapshot = await other.store.messages.snapshot(inbox);
    assert.deepEqual(snapshot?.uids, []);
    const began = performance.now();
    const uid = await deliver(one.store, account, 'hello');
    await other.until((told) => uids(told, inbox).includes(uid), 'the message');
    assert.ok(performance.now() - began < 5000);
    await other.store.messages.storeFlags(inbox, [uid], { action: 'add', flags: ['\\Deleted'] }, 'session');
    await one.until((told) => told.some((change) => change.kind === 'flags'), 'the flag');
    await one.store.messages.expunge(inbox, 'all');
    await other.until((told) => told.some((change) => change.kind === 'expunge'), 'the expunge');
    for (const { told } of [one, other]) {
      const numbers = modseqs(told, inbox);
      assert.equal(new Set(numbers).size, 3);
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
    }
  });

  test('both deliver to one mailbox at once: UIDs are dense, and each hears each message once and in order', async () => {
    await using pair = await startPair();
    const { one, other } = pair;
    const { account, inbox } = await createInbox(one.store, 'race@example.org');
    await Promise.all([one, other].map(({ store }) => store.messages.snapshot(inbox)));
    const count = 15;
    const delivered = await Promise.all(
      Array.from({ length: 2 * count }, (_, n) => deliver([one, other][n % 2]!.store, account, `${n}`)),
    );
    const all = Array.from({ length: 2 * count }, (_, n) => n + 1);
    assert.deepEqual(
      delivered.toSorted((a, b) => a - b),
      all,
    );
    for (const process of [one, other]) {
      await process.until((told) => uids(told, inbox).length >= all.length, 'all messages');
      assert.deepEqual(uids(process.told, inbox), all);
    }
  });

  for (const kind of ['stop', 'stall'] as const)
    test(`Redis away from one of them (${kind}): it takes nothing, and hears of everything when it is back`, async () => {
      await using pair = await startPair();
      const { one, other } = pair;
      const { account, inbox } = await createInbox(one.store, `cut-${kind}@example.org`);
      const token = {
        id: kind,
        hash: kind,
        note: '',
        createdAt: now,
        expiresAt: undefined,
        uses: 1,
        used: 0,
      };
      await one.store.signUpTokens.add(token);
      await other.store.messages.snapshot(inbox);
      const first = await deliver(one.store, account, 'before');
      await other.until((told) => uids(told, inbox).length === 1, 'the first');
      await one.store.accept({ ...outgoingOnly, message: text('taken before') });
      await (kind === 'stop' ? other.redis.stop() : other.redis.stall());
      const away = () =>
        other.store.messages.snapshot(inbox).then(
          () => false,
          (error) => error instanceof StoreUnavailable,
        );
      for (const until = Date.now() + 15_000; !(await away());) {
        assert.ok(Date.now() < until, 'it does not notice');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const change = { action: 'add', flags: ['\\Deleted'] } as const;
      const work = [
        () => other.store.ping(),
        () => deliver(other.store, account, 'not taken'),
        () => other.store.accept({ ...outgoingOnly, message: text('nor this') }),
        () => other.store.accounts.create(`new-${kind}@example.org`, 'hash', now),
        () => other.store.accounts.setPasswordHash(account, 'other'),
        () => other.store.mailboxes.create(account, 'box', now),
        () => other.store.messages.storeFlags(inbox, [first], change),
        () => other.store.messages.expunge(inbox, 'all'),
        () => other.store.tokens.add(account, 'token', now),
        () =>
          other.store.signUpTokens.signUp({
            hash: kind,
            address: `signup-${kind}@example.org`,
            passwordHash: 'hash',
            now,
          }),
      ];
      for (const [index, each] of work.entries()) await assert.rejects(each, StoreUnavailable, `${index}`);
      assert.deepEqual(await other.store.signUpTokens.find(kind), token, 'no use is spent');
      // What hurts nobody goes on, and what was begun is brought to its end.
      assert.equal((await other.store.messages.get(inbox, [first])).length, 1);
      assert.deepEqual(await other.store.pushJobs.claim(now, 1, 1000), []);
      const [batch] = await other.store.queue.claim(now, wish);
      assert.ok(batch);
      assert.deepEqual(await other.store.queue.renew(now, [batch], 1000), []);
      await other.store.queue.settle(batch, [{ kind: 'done' }]);
      assert.deepEqual(await other.store.queue.claim(now + 2000, wish), []);
      const missed = [await deliver(one.store, account, 'a'), await deliver(one.store, account, 'b')];
      assert.deepEqual(uids(other.told, inbox), [first]);
      await other.redis.resume();
      await other.until((told) => uids(told, inbox).length >= 3, 'what was missed');
      assert.deepEqual(uids(other.told, inbox), [first, ...missed]);
      await other.store.ping();
      const last = await deliver(other.store, account, 'taken');
      await one.until((told) => uids(told, inbox).includes(last), 'the message');
      assert.equal(last, first + 3, 'nothing was kept of what was refused');
    });

  for (const kind of ['stop', 'stall'] as const)
    test(`the database away (${kind}): StoreUnavailable within its time, nothing kept, and back by itself`, async () => {
      await using pair = await startPair();
      const { one, other } = pair;
      const { account, inbox } = await createInbox(one.store, `outage-${kind}@example.org`);
      await one.store.messages.snapshot(inbox);
      await (kind === 'stop' ? other.mongodb.stop() : other.mongodb.stall());
      const began = performance.now();
      const work = [
        () => other.store.ping(),
        () => deliver(other.store, account, 'not taken'),
        () => other.store.messages.snapshot(inbox),
        () => other.store.accounts.find('cut@example.org'),
        () => other.store.pushJobs.claim(now, 1, 1000),
      ];
      const outcomes = await Promise.allSettled(work.map((each) => each()));
      for (const [index, outcome] of outcomes.entries()) {
        assert.equal(outcome.status, 'rejected', `${index}`);
        assert.ok(outcome.reason instanceof StoreUnavailable, String(outcome.reason));
      }
      assert.ok(performance.now() - began < 15_000, `${performance.now() - began} ms`);
      await other.mongodb.resume();
      const until = Date.now() + 20_000;
      for (;;) {
        const back = await other.store.ping().then(
          () => true,
          () => false,
        );
        if (back) break;
        assert.ok(Date.now() < until, 'it did not come back');
      }
      await deliver(other.store, account, 'taken');
      await one.until((told) => uids(told, inbox).length >= 1, 'the message');
    });

  test('a password changed and an account removed elsewhere count at the next login, cached or not', async () => {
    await using pair = await startPair();
    const { one, other } = pair;
    const broken: unknown[] = [];
    const quiet = {
      ...createEvents(createLog('silent')),
      fault: (_: string, error: unknown) => broken.push(error),
    };
    const login = ({ store }: Process) =>
      createLogin({
        store,
        clock: systemClock,
        random: systemRandom,
        events: quiet,
        domain: 'example.org',
        rules: { usernameMinLength: 3, usernameMaxLength: 9, passwordMinLength: 9 },
        hashesInFlight: 2,
      });
    const [here, there] = [login(one), login(other)];
    const address = 'login@example.org';
    const first = await here(address, 'password one');
    assert.deepEqual(broken, []);
    assert.ok(first.kind === 'ok' && first.created);
    for (let n = 0; n < 2; n += 1) {
      const again = await there(address, 'password one');
      assert.ok(again.kind === 'ok' && !again.created);
    }
    const made = await here('second@example.org', 'password two');
    assert.ok(made.kind === 'ok');
    // The hash of another password, set in the first process.
    const { passwordHash } = made.account;
    await one.store.accounts.setPasswordHash(first.account.id, passwordHash);
    assert.equal((await there(address, 'password one')).kind, 'refused');
    assert.equal((await there(address, 'password two')).kind, 'ok');
    await one.store.accounts.remove(first.account.id);
    const anew = await there(address, 'password two');
    assert.ok(anew.kind === 'ok' && anew.created, 'the name was free: this is another account');
    assert.notEqual(anew.account.id, first.account.id);
  });

  test('one that starts before its servers waits for them, says so, and opens when they are there', async () => {
    await using database = await openTestDatabase();
    const mongodb = await createProxyFor(database.mongodbUrl);
    const redis = await createProxyFor(database.redisUrl);
    await using _mongodb = mongodb.proxy;
    await using _redis = redis.proxy;
    await mongodb.proxy.stop();
    await redis.proxy.stop();
    const faults: string[] = [];
    const said = Promise.withResolvers<void>();
    const opening = openWildduckStore({
      mongodbUrl: mongodb.url,
      redisUrl: redis.url,
      database: database.name,
      clock: systemClock,
      random: systemRandom,
      quota: 100_000_000,
      onChange: () => {},
      onFault: (where, error) => {
        faults.push(`${where}: ${error.message}`);
        said.resolve();
      },
    });
    await said.promise;
    assert.match(faults[0] ?? '', /^store start: the store is not there yet \(next try in 1 s\)/);
    await mongodb.proxy.resume();
    await redis.proxy.resume();
    await using store = await opening;
    await store.ping();
  });
});
