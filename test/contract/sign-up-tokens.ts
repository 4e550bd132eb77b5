import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tokenRefusal } from '../../src/store/contract.ts';
import type { SignUpToken } from '../../src/store/contract.ts';
import { day, start, useStore } from './fixture.ts';
import type { OpenStore } from './fixture.ts';

export function signUpTokenSuite(open: OpenStore): void {
  describe('sign-up tokens', () => {
    const at = useStore(open);
    const tokens = () => at.store.signUpTokens;

    let count = 0;
    const add = async (more: Partial<SignUpToken> = {}): Promise<SignUpToken> => {
      count += 1;
      const given = {
        id: `id${count}`,
        hash: `hash of ${count}`,
        note: 'Größe',
        createdAt: start - 1000 + count,
        expiresAt: start + day,
        uses: 3,
        used: 0,
        ...more,
      };
      assert.equal(await tokens().add(given), 'added');
      return given;
    };
    const signUp = ({ hash }: SignUpToken, address: string, now = start) =>
      tokens().signUp({ hash, address, passwordHash: `hash of ${address}`, now });

    test('are kept as they are given, found by their hash, and listed, the oldest first', async () => {
      const one = await add({ createdAt: start + 2 });
      const other = await add({ createdAt: start + 1, expiresAt: undefined, uses: undefined, used: 4 });
      assert.deepEqual(await tokens().find(one.hash), one);
      assert.deepEqual(await tokens().find(other.hash), other);
      assert.equal(await tokens().find(one.id), undefined);
      assert.deepEqual((await tokens().list()).slice(-2), [other, one]);
    });

    test('are two only with ids and hashes of their own', async () => {
      const one = await add();
      assert.equal(await tokens().add({ ...one, id: 'another' }), 'exists');
      assert.equal(await tokens().add({ ...one, hash: 'another', note: 'x' }), 'exists');
      assert.deepEqual(await tokens().find(one.hash), one);
      assert.equal(await tokens().find('another'), undefined);
    });

    test('are gone when they are removed', async () => {
      const one = await add();
      assert.equal(await tokens().remove(one.hash), false);
      assert.equal(await tokens().remove(one.id), true);
      assert.equal(await tokens().remove(one.id), false);
      assert.equal(await tokens().find(one.hash), undefined);
      assert.deepEqual(await signUp(one, 'removed@example.org'), { kind: 'refused', why: 'unknown' });
      assert.equal(await at.store.accounts.find('removed@example.org'), undefined);
    });

    test('make an account with its INBOX, and each spends a use', async () => {
      const one = await add({ uses: 2 });
      const made = await signUp(one, 'first@example.org');
      assert.ok(made.kind === 'made');
      const { account } = made;
      assert.deepEqual(await at.store.accounts.find('first@example.org'), account);
      assert.equal(account.passwordHash, 'hash of first@example.org');
      assert.equal(account.createdDay, start);
      assert.deepEqual(
        (await at.store.mailboxes.list(account.id)).map(({ name }) => name),
        ['INBOX'],
      );
      assert.equal((await tokens().find(one.hash))?.used, 1);
      assert.equal((await signUp(one, 'second@example.org')).kind, 'made');
      assert.deepEqual(await signUp(one, 'third@example.org'), { kind: 'refused', why: 'used-up' });
      assert.equal(await at.store.accounts.find('third@example.org'), undefined);
      assert.equal((await tokens().find(one.hash))?.used, 2);
    });

    test('spend nothing for an address that is there, and leave its account alone', async () => {
      const one = await add({ uses: 1 });
      const { address } = await at.account();
      assert.deepEqual(await signUp(one, address), { kind: 'taken' });
      assert.equal((await at.store.accounts.find(address))?.passwordHash, 'hash');
      assert.equal((await tokens().find(one.hash))?.used, 0);
      assert.equal((await signUp(one, 'afterwards@example.org')).kind, 'made');
    });

    test('make nothing once they have expired, to the millisecond', async () => {
      const one = await add({ expiresAt: start + 5 });
      assert.equal((await signUp(one, 'intime@example.org', start + 4)).kind, 'made');
      const late = { kind: 'refused', why: 'expired' };
      assert.deepEqual(await signUp(one, 'late@example.org', start + 5), late);
      assert.equal(await at.store.accounts.find('late@example.org'), undefined);
      const ever = await add({ expiresAt: undefined });
      assert.equal((await signUp(ever, 'everso@example.org', start + 9999 * day)).kind, 'made');
    });

    test('of many at once, as many get an account as there are uses', async () => {
      const one = await add({ uses: 3 });
      const outcomes = await Promise.all(
        Array.from({ length: 12 }, (_, n) => signUp(one, `race${n}@example.org`)),
      );
      assert.equal(outcomes.filter(({ kind }) => kind === 'made').length, 3);
      assert.equal(outcomes.filter((each) => each.kind === 'refused' && each.why === 'used-up').length, 9);
      for (const [n, { kind }] of outcomes.entries()) {
        const found = await at.store.accounts.find(`race${n}@example.org`);
        assert.equal(found !== undefined, kind === 'made', `race${n}`);
      }
      assert.equal((await tokens().find(one.hash))?.used, 3);
      const all = await add({ uses: undefined });
      const everybody = await Promise.all(
        Array.from({ length: 5 }, (_, n) => signUp(all, `free${n}@example.org`)),
      );
      assert.ok(everybody.every(({ kind }) => kind === 'made'));
      assert.equal((await tokens().find(all.hash))?.used, 5);
    });

    test('of many at once for one address, one gets it, for one use', async () => {
      const one = await add({ uses: 9 });
      const outcomes = await Promise.all(Array.from({ length: 6 }, () => signUp(one, 'same@example.org')));
      assert.deepEqual(outcomes.map(({ kind }) => kind).sort(), ['made', ...Array<string>(5).fill('taken')]);
      assert.equal((await tokens().find(one.hash))?.used, 1);
    });
  });

  test('what a sign-up token is refused for', () => {
    const token = { id: 'i', hash: 'h', note: '', createdAt: 0, expiresAt: 10, uses: 2, used: 1 };
    assert.equal(tokenRefusal(token, 9), undefined);
    assert.equal(tokenRefusal(undefined, 9), 'unknown');
    assert.equal(tokenRefusal({ ...token, used: 2 }, 9), 'used-up');
    assert.equal(tokenRefusal({ ...token, used: 2 }, 10), 'expired');
    assert.equal(
      tokenRefusal({ ...token, used: 99, uses: undefined, expiresAt: undefined }, 1e15),
      undefined,
    );
  });
}
