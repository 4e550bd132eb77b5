import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { encrypt } from 'unixcrypt';
import { createLogin } from '../../src/accounts/login.ts';
import type { Login, LoginOptions, LoginOutcome, LoginParts } from '../../src/accounts/login.ts';
import { day, hour } from '../../src/clock.ts';
import { StoreUnavailable } from '../../src/store/contract.ts';
import type { Accounts } from '../../src/store/contract.ts';
import { createTestClock } from '../harness/clock.ts';
import { openTestStore } from '../harness/store.ts';

const domain = '_teal.test';
const secret = 'k3J9dPq2LmZx8vTbR4nW0y';

// The timeout is for a run that fails: a test may then wait for a timer that is never set.
describe('login', { timeout: 30_000 }, () => {
  let opened: Awaited<ReturnType<typeof openTestStore>>;
  let names = 100_000_000;
  before(async () => {
    opened = await openTestStore();
  });
  after(() => opened[Symbol.asyncDispose]());

  const freshName = () => `${names++}@${domain}`;

  /** The real accounts, each call counted, with `override` in place of some. */
  const counted = (override: Partial<Accounts>) => {
    const { accounts } = opened.store;
    const calls: Partial<Record<keyof Accounts, number>> = {};
    const count = <Call extends (...given: never[]) => unknown>(name: keyof Accounts, call: Call): Call =>
      ((...given: Parameters<Call>) => {
        calls[name] = (calls[name] ?? 0) + 1;
        return call(...given);
      }) as Call;
    const { find, create, setPasswordHash, touch } = { ...accounts, ...override };
    return {
      calls,
      accounts: {
        ...accounts,
        find: count('find', find),
        create: count('create', create),
        setPasswordHash: count('setPasswordHash', setPasswordHash),
        touch: count('touch', touch),
      },
    };
  };

  const setUp = (parts: Partial<LoginParts> & { accounts?: Partial<Accounts> } = {}) => {
    const { accounts: override = {}, ...others } = parts;
    const clock = createTestClock();
    const log: string[] = [];
    const { accounts, calls } = counted(override);
    let salts = 0;
    const login = createLogin({
      store: { accounts },
      clock,
      random: (bytes) => {
        if (bytes === 16) salts++;
        return randomBytes(bytes);
      },
      domain,
      rules: { usernameMinLength: 9, usernameMaxLength: 9, passwordMinLength: 9 },
      hashesInFlight: 2,
      events: {
        loginRefused: (reason) => void log.push(`refused: ${reason}`),
        loginUnavailable: (reason) => void log.push(`unavailable: ${reason}`),
        accountCreated: (address) => void log.push(`created ${address}`),
        storeUnavailable: () => void log.push('store unavailable'),
        fault: (where, error) => void log.push(`fault ${where} ${String(error)}`),
      },
      ...others,
    });
    return { login, clock, log, calls, salts: () => salts };
  };

  /** The outcome of a login that fails: it is held back for two seconds, and not a millisecond less. */
  const failing = async (
    { login, clock }: { login: Login; clock: ReturnType<typeof createTestClock> },
    address: string,
    password: string,
    how?: LoginOptions,
  ): Promise<LoginOutcome> => {
    let answered = false;
    const outcome = login(address, password, how).finally(() => {
      answered = true;
    });
    await clock.timersSet();
    clock.advance(1999);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(answered, false);
    clock.advance(1);
    return outcome;
  };

  test('the first login of a name makes its account, later ones are checked against it', async () => {
    const at = setUp();
    const address = freshName();
    const first = await at.login(address.toUpperCase(), secret);
    assert(first.kind === 'ok' && first.created);
    assert.equal(first.account.address, address);
    assert.match(first.account.passwordHash, /^\$pbkdf2-sha256\$i=10000\$/);
    assert.deepEqual(at.log, [`created ${address}`]);
    for (const { login } of [at, setUp()]) {
      const again = await login(address, secret);
      assert(again.kind === 'ok' && !again.created);
      assert.deepEqual(again.account, first.account);
    }
    const other = setUp();
    assert.deepEqual(await failing(other, address, `${secret}x`), {
      kind: 'refused',
      reason: 'wrong password',
    });
    assert.deepEqual(other.log, ['refused: wrong password']);
  });

  test('what cannot be an account is refused without asking the store or hashing', async () => {
    const at = setUp();
    for (const [address, password, reason] of [
      ['zn3zossaq@elsewhere.test', secret, 'not a name of this relay'],
      [`zn3zossaq+tag@${domain}`, secret, 'not a name of this relay'],
      [`zn3zossaq@${domain}`, '', 'no password'],
      [`zn3zossaq@${domain}`, 'x'.repeat(513), 'the password is too long'],
    ] as const) {
      assert.deepEqual(await failing(at, address, password), { kind: 'refused', reason });
    }
    assert.deepEqual(at.calls, {});
    for (const [address, password, reason] of [
      [`short@${domain}`, secret, 'no account made: the name is too short'],
      [`webmaster@${domain}`, secret, 'no account made: the name is reserved'],
      [`zn3zossaq@${domain}`, '12345678', 'no account made: the password is too short'],
    ] as const) {
      assert.deepEqual(await failing(at, address, password), { kind: 'refused', reason });
    }
    assert.equal(at.salts(), 0);
    assert.equal(at.calls.create, undefined);
    assert.equal(at.log.length, 7);
  });

  for (const [kind, stop] of [
    ['closed', 'registration is closed'],
    ['token', 'registration is by token'],
  ] as const)
    test(`no account is made while ${stop}; those that are there log in`, async () => {
      const address = freshName();
      await setUp().login(address, secret);
      let asked = 0;
      const at = setUp({
        mayCreate: () => {
          asked++;
          return { kind, reason: stop };
        },
      });
      const refused = await failing(at, freshName(), secret);
      assert.deepEqual(refused, { kind: 'refused', reason: `no account made: ${stop}` });
      assert.equal((await at.login(address, secret)).kind, 'ok');
      assert.equal(asked, 1);
    });

  test('rules for new accounts are not applied to those that are there', async () => {
    const address = `webmaster@${domain}`;
    const made = await opened.store.accounts.create(address, encrypt('short', '$6$rounds=1000$salt'), 0);
    const outcome = await setUp().login(address, 'short');
    assert(outcome.kind === 'ok');
    assert.equal(outcome.account.id, made.account.id);
  });

  test('first logins side by side share one hash, one account and one word of it', async () => {
    const at = setUp();
    const address = freshName();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => at.login(address, secret)));
    assert(outcomes.every(({ kind }) => kind === 'ok'));
    assert.equal(outcomes.filter((outcome) => outcome.kind === 'ok' && outcome.created).length, 1);
    assert.equal(at.salts(), 1);
    assert.equal(at.calls.create, 1);
    assert.deepEqual(at.log, [`created ${address}`]);
  });

  test('of two processes, or two passwords, that race for a name one wins and the other is checked', async () => {
    const address = freshName();
    const [smtp, imap] = [setUp(), setUp()];
    const both = await Promise.all([smtp.login(address, secret), imap.login(address, secret)]);
    const accounts = both.map((outcome) =>
      outcome.kind === 'ok' ? outcome.account : assert.fail(outcome.reason),
    );
    assert.equal(accounts[0]?.id, accounts[1]?.id);
    assert.equal(both.filter((outcome) => outcome.kind === 'ok' && outcome.created).length, 1);

    const contested = freshName();
    const at = setUp();
    const race = Promise.all([at.login(contested, secret), at.login(contested, `${secret}x`)]);
    await at.clock.timersSet();
    at.clock.advance(2000);
    assert.deepEqual((await race).map(({ kind }) => kind).toSorted(), ['ok', 'refused']);
  });

  test('a hash is renewed as the password deserves; a changed password and a removed account end at once', async () => {
    const address = freshName();
    const made = await opened.store.accounts.create(address, encrypt('a password', '$6$rounds=1000$salt'), 0);
    const at = setUp();
    await at.login(address, 'a password');
    const renewed = await opened.store.accounts.find(address);
    assert.match(renewed?.passwordHash ?? '', /^\$pbkdf2-sha256\$i=600000\$/, 'renewed as it deserves');
    assert.equal(at.salts(), 1);

    assert.equal((await failing(at, address, 'a passwore')).kind, 'refused');

    // Another process sets another password: the old one ends at once.
    await opened.store.accounts.setPasswordHash(
      made.account.id,
      encrypt('another one', '$6$rounds=1000$salt'),
    );
    assert.equal((await failing(at, address, 'a password')).kind, 'refused');
    assert.equal((await at.login(address, 'another one')).kind, 'ok');
    await opened.store.accounts.remove(made.account.id);
    assert.equal(
      (await failing(at, address, 'too short'.slice(1))).kind,
      'refused',
      'nobody is there any more',
    );
  });

  test('a right password is not hashed again for an hour', async () => {
    const [known, busy] = [freshName(), freshName()];
    await setUp().login(known, secret);
    const longest = `$pbkdf2-sha256$i=2000000$${'A'.repeat(22)}$${'A'.repeat(43)}`;
    await opened.store.accounts.create(busy, longest, 0);
    // The queue has room for nothing beside the quarter of a second that the other one takes.
    const at = setUp({ maxQueuedCost: 1, hashesInFlight: 1 });
    assert.equal((await at.login(known, secret)).kind, 'ok');
    at.clock.advance(hour - 1);
    const other = at.login(busy, 'any');
    assert.equal((await at.login(known, secret)).kind, 'ok');
    at.clock.advance(1);
    assert.deepEqual(await failing(at, known, secret), {
      kind: 'unavailable',
      reason: 'too many logins at once',
    });
    await at.clock.timersSet();
    at.clock.advance(2000);
    assert.equal((await other).kind, 'refused');
    assert.equal((await at.login(known, secret)).kind, 'ok');
  });

  test('a hash is renewed once, not over a password that was changed meanwhile, and its failure is no failed login', async () => {
    const weak = encrypt(secret, '$6$rounds=1000$salt');
    const make = async () => {
      const address = freshName();
      return (await opened.store.accounts.create(address, `{SHA512-CRYPT}${weak}`, 0)).account;
    };
    const account = await make();
    const at = setUp();
    for (let nth = 0; nth < 3; nth++) assert.equal((await at.login(account.address, secret)).kind, 'ok');
    assert.equal(at.calls.setPasswordHash, 1);

    const changed = await make();
    let finds = 0;
    const racing = setUp({
      accounts: {
        find: async (address) => {
          if (++finds === 2) await opened.store.accounts.setPasswordHash(changed.id, 'the new one');
          return opened.store.accounts.find(address);
        },
      },
    });
    assert.equal((await racing.login(changed.address, secret)).kind, 'ok');
    assert.equal((await opened.store.accounts.find(changed.address))?.passwordHash, 'the new one');

    const failingStore = setUp({
      accounts: {
        setPasswordHash: async () => {
          throw new StoreUnavailable('disk');
        },
      },
    });
    const unlucky = await make();
    assert.equal((await failingStore.login(unlucky.address, secret)).kind, 'ok');
    assert.deepEqual(failingStore.log, ['store unavailable']);
  });

  test('the day of the last login is kept, once a day, for logins that count', async () => {
    const at = setUp();
    const address = freshName();
    await at.login(address, secret);
    await at.login(address, secret);
    assert.equal(at.calls.touch, undefined, 'made today');
    at.clock.advance(day);
    await at.login(address, secret, { countsAsUse: false });
    assert.equal(at.calls.touch, undefined, 'SMTP does not count');
    await at.login(address, secret);
    const now = at.clock.now();
    assert.equal((await opened.store.accounts.find(address))?.lastLoginDay, now - (now % day));
    await at.login(address, secret);
    assert.equal(at.calls.touch, 1);

    const broken = setUp({
      accounts: {
        touch: async () => {
          throw new StoreUnavailable('disk');
        },
      },
    });
    broken.clock.advance(3 * day);
    assert.equal((await broken.login(address, secret)).kind, 'ok');
    assert.deepEqual(broken.log, ['store unavailable']);
  });

  test('a store that does not answer, and a fault of ours, are never a wrong password', async () => {
    for (const [error, said, reason] of [
      [new StoreUnavailable('disk'), 'store unavailable', 'the store does not answer'],
      [new TypeError('oops'), 'fault login TypeError: oops', 'a fault of ours'],
    ] as const) {
      const broken = async () => {
        throw error;
      };
      for (const accounts of [{ find: broken }, { create: broken }]) {
        const at = setUp({ accounts });
        assert.deepEqual(await failing(at, freshName(), secret), { kind: 'unavailable', reason });
        assert.deepEqual(at.log, [said]);
      }
    }
  });

  test('past the bound of work logins are unavailable; new names have half of it, users the rest', async () => {
    const known = freshName();
    await setUp().login(known, secret);
    // Room for ten long secrets (10,000 rounds each); the first finds an idle queue.
    const at = setUp({ maxQueuedCost: 100_000, hashesInFlight: 1 });
    const fresh = Array.from({ length: 8 }, freshName);
    const outcomes = Promise.all([...fresh, known].map((address) => at.login(address, secret)));
    await at.clock.timersSet(3);
    at.clock.advance(2000);
    const kinds = (await outcomes).map((outcome) => outcome.kind);
    assert.deepEqual(kinds.filter((kind) => kind === 'unavailable').length, 3);
    assert.equal(kinds.at(-1), 'ok', 'who has an account is not kept out by those who want one');
    assert.equal(at.log.filter((line) => line === 'unavailable: too many logins at once').length, 3);
    assert.equal(await opened.store.accounts.find(fresh[7] ?? ''), undefined);
    assert.equal((await at.login(fresh[7] ?? '', secret)).kind, 'ok', 'and later there is room again');
  });

  test('neither address nor password is in any reason', async () => {
    const at = setUp();
    const address = freshName();
    await at.login(address, secret);
    at.log.length = 0;
    await failing(at, address, `${secret}-wrong`);
    await failing(at, `webmaster@${domain}x`, secret);
    await failing(at, `tooshort@${domain}`, secret);
    const said = at.log.join('\n');
    assert(!said.includes(secret) && !said.includes(address) && !said.includes('tooshort'), said);
  });
});
