import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { minute } from '../../../src/clock.ts';
import { systemClock } from '../../../src/machine.ts';
import { StoreUnavailable } from '../../../src/store/contract.ts';
import type { Account, AccountId, Accounts, SignUpOutcome } from '../../../src/store/contract.ts';
import { openWildduckSource } from '../../../src/store/wildduck/move-source.ts';
import { createSignUpTokens } from '../../../src/store/wildduck/sign-up-tokens.ts';
import type { SignUpTokenDocument } from '../../../src/store/wildduck/sign-up-tokens.ts';
import { start } from '../../contract/fixture.ts';
import { createTestClock } from '../../harness/clock.ts';
import { without } from '../../harness/peers.ts';
import { openTestDatabase } from '../../harness/test-database.ts';
import type { TestDatabase } from '../../harness/test-database.ts';
import { openTestWildduck } from '../../harness/wildduck-store.ts';

const skip = without('MongoDB and Redis (MONGODB_URL, REDIS_URL)');

const token = {
  id: 'one',
  hash: 'hash',
  note: '',
  createdAt: start,
  expiresAt: undefined,
  uses: 1,
  used: 0,
};
const request = (address: string) => ({ hash: 'hash', address, passwordHash: 'p', now: start });

/** Accounts in memory. `die`: how the next `create` comes to nothing, or seems to. */
function memoryAccounts() {
  const all = new Map<string, Account>();
  const accounts: Pick<Accounts, 'find' | 'create' | 'remove'> & {
    die: 'before' | 'after' | undefined;
    /** Awaited within `create`, when the account is not there yet. */
    meanwhile: (() => Promise<void>) | undefined;
  } = {
    die: undefined,
    meanwhile: undefined,
    find: async (address) => all.get(address),
    create: async (address, passwordHash, now) => {
      await accounts.meanwhile?.();
      const found = all.get(address);
      if (found) return { account: found, created: false };
      if (accounts.die === 'before') throw new StoreUnavailable('died');
      const days = { createdDay: now, lastLoginDay: now, acceptsCleartext: false };
      const account = { id: address as AccountId, address, passwordHash, ...days };
      all.set(address, account);
      if (accounts.die === 'after') throw new StoreUnavailable('died');
      return { account, created: true };
    },
    remove: async (id) => void all.delete(id),
  };
  return { accounts, all };
}

describe('a use of a sign-up token in MongoDB', { skip }, () => {
  let database: TestDatabase;
  before(async () => {
    database = await openTestDatabase();
  });
  after(() => database[Symbol.asyncDispose]());

  async function open() {
    const collection = database.database.collection<SignUpTokenDocument>('teal.sign-up-tokens');
    await collection.deleteMany({});
    const clock = createTestClock();
    const { accounts, all } = memoryAccounts();
    const databaseClock = { toDatabase: (time: number) => time };
    const tokens = createSignUpTokens({ tokens: collection, accounts, clock, databaseClock });
    await tokens.add(token);
    const used = async () => (await tokens.find('hash'))?.used;
    /** What is left of it in the database. */
    const making = async () => (await collection.findOne({ _id: 'hash' }))?.making.length;
    return { tokens, accounts, all, clock, used, making };
  }

  test('whose process dies before the account is there is given back, after a while and once', async () => {
    const { tokens, accounts, clock, used, making } = await open();
    accounts.die = 'before';
    await assert.rejects(tokens.signUp(request('a@x.test')), StoreUnavailable);
    accounts.die = undefined;
    assert.deepEqual(await tokens.signUp(request('b@x.test')), { kind: 'refused', why: 'used-up' });
    clock.advance(minute);
    await tokens.settleAbandoned();
    assert.equal(await used(), 1, 'it may still be at it');
    clock.advance(2 * minute);
    await Promise.all([tokens.settleAbandoned(), tokens.settleAbandoned()]);
    assert.deepEqual([await used(), await making()], [0, 0]);
    assert.equal((await tokens.signUp(request('b@x.test'))).kind, 'made');
    assert.deepEqual([await used(), await making()], [1, 0]);
  });

  test('whose process dies when the account is there stays spent', async () => {
    const { tokens, accounts, clock, used, making } = await open();
    accounts.die = 'after';
    await assert.rejects(tokens.signUp(request('a@x.test')), StoreUnavailable);
    clock.advance(5 * minute);
    await tokens.settleAbandoned();
    assert.deepEqual([await used(), await making()], [1, 0]);
    assert.deepEqual(await tokens.signUp(request('b@x.test')), { kind: 'refused', why: 'used-up' });
  });

  for (const [what, takenBySomebody, outcome] of [
    ['is spent all the same, where nobody had it meanwhile', false, 'made'],
    ['makes no account, where another has had it meanwhile', true, 'refused'],
  ] as const)
    test(`that was given back because its process was slow ${what}`, async () => {
      const { tokens, accounts, all, clock, used } = await open();
      accounts.meanwhile = async () => {
        accounts.meanwhile = undefined;
        clock.advance(5 * minute);
        await tokens.settleAbandoned();
        if (takenBySomebody) assert.equal((await tokens.signUp(request('b@x.test'))).kind, 'made');
      };
      assert.equal((await tokens.signUp(request('a@x.test'))).kind, outcome);
      assert.deepEqual([...all.keys()], takenBySomebody ? ['b@x.test'] : ['a@x.test']);
      assert.equal(await used(), 1);
    });

  test('that was found to be spent by another who looked is counted once', async () => {
    const { tokens, accounts, all, clock, used } = await open();
    const create = accounts.create.bind(accounts);
    accounts.create = async (...given) => {
      const made = await create(...given);
      clock.advance(5 * minute);
      await tokens.settleAbandoned();
      return made;
    };
    assert.equal((await tokens.signUp(request('a@x.test'))).kind, 'made');
    assert.deepEqual([[...all.keys()], await used()], [['a@x.test'], 1]);
  });

  test('makes its account where the token is removed in between', async () => {
    const { tokens, accounts, all } = await open();
    accounts.meanwhile = async () => void (await tokens.remove('one'));
    assert.equal((await tokens.signUp(request('a@x.test'))).kind, 'made');
    assert.ok(all.has('a@x.test'));
  });

  test('that died does not move', async () => {
    await using opened = await openTestWildduck();
    const { signUpTokens } = opened.store;
    await signUpTokens.add({ ...token, uses: 5 });
    const addresses = ['a@x.test', 'b@x.test'];
    assert.equal((await signUpTokens.signUp(request('a@x.test'))).kind, 'made');
    const making = addresses.map((address, n) => ({ key: n, address, at: 0 }));
    const documents = opened.database.database.collection('teal.sign-up-tokens');
    await documents.updateOne({}, { $set: { making, used: 2 } });
    await opened.store[Symbol.asyncDispose]();
    const { mongodbUrl, redisUrl, name } = opened.database;
    await using source = await openWildduckSource({
      ...{ mongodbUrl, redisUrl, database: name, clock: systemClock },
      onFault: (where, error) => assert.fail(`${where}: ${error.message}`),
    });
    assert.deepEqual(await source.signUpTokens(), [{ ...token, uses: 5, used: 1 }]);
  });
});

test('of those who come to two processes for the last uses, as many get accounts', { skip }, async () => {
  await using one = await openTestWildduck();
  await using other = await openTestWildduck({}, one.database);
  const processes = [one.store, other.store];
  for (let round = 0; round < 5; round += 1) {
    const hash = `hash ${round}`;
    assert.equal(await one.store.signUpTokens.add({ ...token, id: `id ${round}`, hash, uses: 2 }), 'added');
    const outcomes: SignUpOutcome[] = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        processes[n % 2]!.signUpTokens.signUp({ ...request(`user${round}${n}@x.test`), hash }),
      ),
    );
    assert.equal(outcomes.filter(({ kind }) => kind === 'made').length, 2);
    assert.equal((await other.store.signUpTokens.find(hash))?.used, 2);
    const addresses = outcomes.map((_, n) => `user${round}${n}@x.test`);
    assert.equal((await other.store.accounts.findMany(addresses)).size, 2);
  }
});
