import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CommandStartedEvent } from 'mongodb';
import type { AccountId, ClaimWish, MailboxId, Plan } from '../../../src/store/contract.ts';
import { day, headerSize, hour, mailbox, minute, sized, start, text } from '../../contract/fixture.ts';
import { without } from '../../harness/peers.ts';
import { until } from '../../harness/until.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';

/** Of these there are never many, or all are wanted; what is in them is looked through. */
const LOOKED_THROUGH = [
  // Emptied each minute.
  'archived',
  // WildDuck's, of accounts that its API is removing.
  'tasks',
  // Removals that are under way.
  'teal.doomed',
  // At most MAX_SIGN_UP_TOKENS.
  'teal.sign-up-tokens',
];

interface Query {
  readonly name: string;
  readonly collection: string;
  readonly filter: object;
  readonly sort: object;
}

/** What a command looks for. */
function queriesOf({ commandName: name, command }: CommandStartedEvent): Query[] {
  const collection = String(command[name]);
  const as = (filter: object = {}, sort: object = {}) => ({ name, collection, filter, sort });
  const sort = command['sort'] instanceof Map ? Object.fromEntries(command['sort'] as Map<string, 1>) : {};
  if (name === 'find') return [as(command['filter'] as object, sort)];
  if (name === 'findAndModify' || name === 'distinct') return [as(command['query'] as object)];
  if (name === 'aggregate') return [as((command['pipeline'] as { $match?: object }[])[0]?.$match)];
  const each = (command['updates'] ?? command['deletes'] ?? []) as { q: object }[];
  return each.map(({ q }) => as(q));
}

/** Fields by which an index can be looked into. */
const usable = (filter: object) => Object.keys(filter).filter((key) => !key.startsWith('$'));

const wish: ClaimWish = { limit: 9, perDestination: 9, rowsPerBatch: 9, leaseMs: minute, except: [] };

describe('indexes', { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') }, () => {
  test('nothing that a store of a million accounts is asked looks through all of a collection', async () => {
    const queries = new Map<string, Query>();
    await using opened = await openTestWildduck({
      leaseMs: 1,
      quota: 20_000,
      onCommand: (event) => {
        for (const query of queriesOf(event)) {
          const { name, collection, filter, sort } = query;
          queries.set([name, collection, ...usable(filter), '|', ...Object.keys(sort)].join(' '), query);
        }
      },
    });
    const { store, database } = opened;
    await store.signUpTokens.add({
      id: 'id',
      hash: 'token',
      note: '',
      createdAt: start,
      expiresAt: undefined,
      uses: 2,
      used: 0,
    });
    const people: { account: AccountId; inbox: MailboxId }[] = [];
    for (const name of ['alice', 'bob']) {
      const { account } = await store.accounts.create(`${name}@example.org`, 'hash', start);
      people.push({ account: account.id, inbox: (await mailbox(store, account.id, 'INBOX')).id });
    }
    const [alice, bob] = people;
    assert.ok(alice && bob);
    const carol = { hash: 'token', address: 'carol@example.org', passwordHash: 'hash', now: start };
    assert.equal((await store.signUpTokens.signUp(carol)).kind, 'made');
    await store.accounts.findMany(['alice@example.org', 'bob@example.org']);
    await store.accounts.touch(alice.account, start + day);
    for (const { account } of people) await store.tokens.add(account, `token of ${account}`, start);

    const plan = (message: Buffer, to = people, recipients: string[] = []): Plan => ({
      now: start,
      message,
      headerSize: headerSize(message),
      deliveries: to.map(({ account }) => ({ account, push: true })),
      ...(recipients.length === 0
        ? {}
        : {
            outgoing: {
              sender: '',
              recipients: recipients.map((address) => ({ address, destination: 'other.test' })),
            },
          }),
    });
    await store.accept(plan(text('one'), [alice]));
    await store.accept(plan(text('many'), people, ['x@other.test', 'y@other.test']));
    for (const job of await store.pushJobs.claim(start + hour, 9, minute))
      await store.pushJobs.settle(job, { kind: 'gone' });
    await store.pushJobs.nextDue();
    const batches = await store.queue.claim(start, wish);
    assert.equal(batches[0]?.rows.length, 2);
    await store.queue.renew(start, batches, hour);
    await (await store.queue.body(batches[0].message))?.[Symbol.asyncDispose]();
    await store.queue.settle(batches[0], [
      { kind: 'done' },
      { kind: 'retry', at: start + minute, reason: 'later' },
    ]);
    await store.queue.claim(start + minute, { ...wish, only: ['other.test'] });
    await store.queue.nextDue(['third.test']);

    const { messages } = store;
    const snapshot = await messages.snapshot(alice.inbox);
    assert.deepEqual(snapshot?.uids, [1, 2]);
    await messages.get(alice.inbox, [1, 2]);
    await messages.headers(alice.inbox, [1]);
    await (await messages.body(alice.inbox, 1))?.[Symbol.asyncDispose]();
    await messages.changedSince(alice.inbox, 0);
    await messages.expungedSince(alice.inbox, 0);
    await store.mailboxes.list(alice.account);
    await store.mailboxes.status(alice.inbox);
    await store.mailboxes.create(alice.account, 'folder', start);
    const folder = await mailbox(store, alice.account, 'folder');
    await messages.copy(alice.inbox, [1], folder.id, { move: true, now: start });
    await messages.storeFlags(alice.inbox, [2], { action: 'add', flags: ['\\Deleted'] });
    await messages.expunge(alice.inbox, 'all');
    await store.mailboxes.rename(folder.id, 'other');
    await store.mailboxes.remove(folder.id);
    // Over the limit, so that the oldest goes; and with a lease of others that is over, which is repaired.
    for (let n = 0; n < 4; n += 1)
      await store.accept({ ...plan(sized(4500), [alice]), now: start + n * 2 * day });
    await database.database
      .collection('mailboxes')
      .updateMany({}, { $set: { 'teal.lease': { by: 'dead', at: new Date(0) } } });
    await store.accept(plan(text('repaired'), [alice]));
    await store.accounts.remove(bob.account);
    await store.values.list('acme.');
    await until(() => queries.has('find teal.plans at |'), 'plans that others left are looked for');

    const firstFields = async (collection: string) => {
      const there = await database.database.listCollections({ name: collection }).hasNext();
      const indexes = there ? await database.database.collection(collection).listIndexes().toArray() : [];
      return ['_id', ...indexes.map(({ key }) => Object.keys(key as object)[0] ?? '')];
    };
    const indexes = new Map<string, string[]>();
    for (const { collection } of queries.values()) indexes.set(collection, await firstFields(collection));
    const slow = [...queries]
      .filter(([, { collection, filter, sort }]) => {
        const first = indexes.get(collection) ?? [];
        const asked = usable(filter);
        const by = asked.length > 0 ? asked : Object.keys(sort).slice(0, 1);
        return !LOOKED_THROUGH.includes(collection) && !by.some((field) => first.includes(field));
      })
      .map(([what]) => what);
    assert.ok(queries.size > 70, `${queries.size} queries`);
    assert.deepEqual(slow, []);
  });
});
