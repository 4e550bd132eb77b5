import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createNewAccounts } from '../../src/accounts/new-account.ts';
import type { NewAccount, NewAccountParts } from '../../src/accounts/new-account.ts';
import { checkPassword } from '../../src/accounts/passwords.ts';
import type { CreationStop } from '../../src/accounts/registration.ts';
import { drawSignUpToken, hashOfSignUpToken } from '../../src/accounts/sign-up-token.ts';
import { hour } from '../../src/clock.ts';
import { createEvents } from '../../src/observe/events.ts';
import { systemRandom } from '../../src/machine.ts';
import { StoreUnavailable } from '../../src/store/contract.ts';
import type { SignUpToken } from '../../src/store/contract.ts';
import { createTestClock } from '../harness/clock.ts';
import { createEventLog } from '../harness/event-log.ts';
import { openTestStore } from '../harness/store.ts';
import type { TestStore } from '../harness/store.ts';

const byToken: CreationStop = { kind: 'token', reason: 'registration is by token' };
const peer = '203.0.113.5';

describe('new accounts', () => {
  let opened: TestStore;
  before(async () => {
    opened = await openTestStore();
  });
  after(() => opened[Symbol.asyncDispose]());

  function setUp(overrides: Partial<NewAccountParts> = {}) {
    const clock = createTestClock();
    const { log, events } = createEventLog();
    const newAccounts = createNewAccounts({
      store: opened.store,
      clock,
      random: systemRandom,
      events: createEvents(log),
      domain: 'x.test',
      rules: { usernameMinLength: 9, usernameMaxLength: 9, passwordMinLength: 9 },
      mayOffer: () => byToken,
      maySignUp: () => undefined,
      ...overrides,
    });
    const invite = async (more: Partial<SignUpToken> = {}) => {
      const { token, id } = drawSignUpToken(systemRandom);
      const hash = hashOfSignUpToken(token) ?? '';
      const kept = { id, hash, note: '', createdAt: 0, expiresAt: undefined, uses: 1, used: 0, ...more };
      await opened.store.signUpTokens.add(kept);
      const used = async () => (await opened.store.signUpTokens.find(hash))?.used;
      return { token, id, used };
    };
    /** What was logged, in a line each: `sign-up-refused no token`. */
    const logged = () => events.map(({ event, reason, address }) => `${event} ${String(reason ?? address)}`);
    return { newAccounts, clock, invite, logged };
  }
  const reasonOf = (account: NewAccount | undefined) =>
    account && 'reason' in account ? account.reason : undefined;

  test('where anybody may come nothing is written, and a token is neither needed nor spent', async () => {
    const { newAccounts, invite, logged } = setUp({ mayOffer: () => undefined });
    const { token, used } = await invite();
    for (const request of [undefined, { peer }, { token: 'x', peer }, { token, peer }]) {
      const account = await newAccounts.make(request);
      assert.ok(account.kind === 'made');
      assert.equal(await opened.store.accounts.find(account.address), undefined);
    }
    assert.equal(await newAccounts.refusalOf('x'), undefined);
    assert.equal(await used(), 0);
    assert.deepEqual(logged(), []);
  });

  test('with a token the account is made at once, and a use is spent', async () => {
    const { newAccounts, invite, logged } = setUp();
    const { token, used } = await invite({ uses: 2 });
    assert.equal(await newAccounts.refusalOf(token), undefined);
    assert.equal(await used(), 0, 'a look spends nothing');
    const account = await newAccounts.make({ token, peer });
    assert.ok(account.kind === 'made');
    assert.match(account.address, /^[a-z0-9]{9}@x\.test$/);
    const found = await opened.store.accounts.find(account.address);
    assert.ok(found);
    assert.equal(await checkPassword(account.password, found.passwordHash), 'right');
    assert.equal(await used(), 1);
    assert.deepEqual(logged(), [`account-created ${account.address}`]);
  });

  test('each refusal has words for a person, and others for the log, and neither has the token', async () => {
    const { newAccounts, clock, invite, logged } = setUp();
    const expired = await invite({ expiresAt: clock.now() + hour });
    const spent = await invite({ used: 1 });
    const [unknown, removed] = [drawSignUpToken(systemRandom).token, await invite()];
    await opened.store.signUpTokens.remove(removed.id);
    clock.advance(hour);
    const none = /need an invitation/;
    const cases = [
      [undefined, none, 'no token'],
      ['', /does not know your invitation/, 'the token is unknown'],
      ['" or 1=1', /does not know your invitation/, 'the token is unknown'],
      [unknown, /does not know your invitation/, 'the token is unknown'],
      [removed.token, /does not know your invitation/, 'the token is unknown'],
      [expired.token, /has expired/, 'the token is expired'],
      [spent.token, /has been used up/, 'the token is used-up'],
    ] as const;
    for (const [token, said] of cases) {
      const account = await newAccounts.make({ token, peer });
      assert.equal(account.kind, 'token');
      assert.match(reasonOf(account) ?? '', said);
      if (token !== undefined) assert.deepEqual(await newAccounts.refusalOf(token), account);
      else assert.deepEqual(newAccounts.refusal(), account);
      assert.doesNotMatch(reasonOf(account) ?? '', /authentication|token/i);
    }
    assert.deepEqual(
      logged(),
      cases.map(([, , line]) => `sign-up-refused ${line}`),
    );
  });

  test('what is closed or busy says so, spends no use, and blames nobody', async () => {
    for (const kind of ['closed', 'busy'] as const) {
      const stop = { kind, reason: 'why' };
      let asked: (string | undefined)[] = [];
      const maySignUp = (from: string | undefined) => {
        asked.push(from);
        return stop;
      };
      const { newAccounts, invite, logged } = setUp({ maySignUp });
      const { token, used } = await invite();
      const account = await newAccounts.make({ token, peer });
      assert.equal(account.kind, kind);
      assert.doesNotMatch(reasonOf(account) ?? '', /authentication|password/i);
      assert.deepEqual(await newAccounts.refusalOf(token), account);
      assert.deepEqual(asked, [peer, undefined], 'a look counts nothing');
      asked = [];
      await newAccounts.make({ token: 'x', peer });
      assert.deepEqual(asked, [], 'what is no token counts nothing');
      assert.equal(await used(), 0);
      assert.deepEqual(logged(), ['sign-up-refused why', 'sign-up-refused the token is unknown']);
    }
    const { newAccounts } = setUp({
      mayOffer: () => ({ kind: 'closed', reason: 'the file nocreate is there' }),
    });
    assert.equal((await newAccounts.make({ token: 'x', peer })).kind, 'closed');
    assert.equal((await newAccounts.refusalOf('x'))?.kind, 'closed');
  });

  test('of two at once for the last use one gets an account', async () => {
    const { newAccounts, invite, logged } = setUp();
    const { token, used } = await invite();
    const accounts = await Promise.all([1, 2].map(() => newAccounts.make({ token, peer })));
    assert.deepEqual(accounts.map(({ kind }) => kind).sort(), ['made', 'token']);
    assert.match(accounts.map(reasonOf).join(), /has been used up/);
    assert.equal(await used(), 1);
    assert.equal(logged().length, 2);
  });

  test('a name that another got a moment ago is drawn anew; a store that is away is no refusal', async () => {
    const { accounts, signUpTokens } = opened.store;
    const drawn: string[] = [];
    const first = setUp({
      store: {
        accounts,
        signUpTokens: {
          ...signUpTokens,
          signUp: async (request) => {
            drawn.push(request.address);
            return drawn.length === 1 ? { kind: 'taken' } : signUpTokens.signUp(request);
          },
        },
      },
    });
    const one = await first.invite();
    const account = await first.newAccounts.make({ token: one.token, peer });
    assert.ok(account.kind === 'made' && account.address === drawn[1] && drawn[0] !== drawn[1]);

    const away = async () => {
      throw new StoreUnavailable('the disk is full');
    };
    for (const method of ['find', 'signUp'] as const) {
      const second = setUp({ store: { accounts, signUpTokens: { ...signUpTokens, [method]: away } } });
      const other = await second.invite();
      assert.equal((await second.newAccounts.make({ token: other.token, peer })).kind, 'busy');
      if (method === 'find') assert.equal((await second.newAccounts.refusalOf(other.token))?.kind, 'busy');
      assert.equal(second.logged()[0], 'store-unavailable the disk is full');
      assert.equal(await other.used(), 0);
    }
  });
});
