import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { createTarpit } from '../../src/accounts/tarpit.ts';
import { createVerifiedLogins } from '../../src/accounts/verified-logins.ts';
import { hour } from '../../src/clock.ts';
import type { Account, AccountId } from '../../src/store/contract.ts';
import { createTestClock } from '../harness/clock.ts';

function account(id: string, passwordHash = 'hash'): Account {
  return {
    id: id as AccountId,
    address: `${id}@_teal.test`,
    passwordHash,
    createdDay: 0,
    lastLoginDay: 0,
    acceptsCleartext: false,
  };
}

describe('logins that were right', () => {
  test('are known by account, stored hash and password, for an hour from the check', () => {
    const clock = createTestClock();
    const verified = createVerifiedLogins(clock, randomBytes);
    const alice = account('alice');
    assert(!verified.has(alice, 'secret'));
    verified.add(alice, 'secret');
    assert(verified.has(alice, 'secret'));
    assert(!verified.has(alice, 'Secret'));
    assert(!verified.has(account('bob'), 'secret'));
    assert(!verified.has(account('alice', 'another hash'), 'secret'), 'the password was changed');
    assert(verified.has(alice, 'secret'), 'a wrong guess throws nobody out');
    clock.advance(hour - 1);
    assert(verified.has(alice, 'secret'));
    clock.advance(1);
    assert(!verified.has(alice, 'secret'), 'use does not make it last longer');
  });

  test('are bounded in number; the least used goes first', () => {
    const verified = createVerifiedLogins(createTestClock(), randomBytes, { max: 3 });
    const [a, b, c, d] = [account('a'), account('b'), account('c'), account('d')];
    for (const one of [a, b, c]) verified.add(one, 'secret');
    assert(verified.has(a, 'secret'));
    verified.add(c, 'secret');
    assert(verified.has(b, 'secret'), 'one that is added again pushes nobody out');
    verified.add(d, 'secret');
    assert.deepEqual(
      [a, b, c, d].map((one) => verified.has(one, 'secret')),
      [false, true, true, true],
    );
  });
});

describe('the tarpit', () => {
  test('holds back so many answers for two seconds, the rest not at all', async () => {
    const clock = createTestClock();
    const tarpit = createTarpit(clock, 2);
    let answered = 0;
    const answers = [1, 2, 3].map(async () => {
      await tarpit();
      answered++;
    });
    await answers[2];
    assert.equal(answered, 1);
    clock.advance(1999);
    await Promise.resolve();
    assert.equal(answered, 1);
    clock.advance(1);
    await Promise.all(answers);
    assert.equal(answered, 3);
    void tarpit();
    assert.equal(clock.waiting, 1, 'there is room again');
  });
});
