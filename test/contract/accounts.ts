import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_TOKENS, TOKEN_LIFE } from '../../src/store/contract.ts';
import { bytesOf, day, hour, MiB, sized, start, useStore } from './fixture.ts';
import type { OpenStore } from './fixture.ts';

export function accountSuite(open: OpenStore): void {
  describe('accounts', () => {
    const at = useStore(open, 20 * MiB);

    test('of ten that create the same account at once one makes it, and all get the same', async () => {
      const made = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          at.store.accounts.create('race@example.org', `hash ${n}`, start),
        ),
      );
      assert.equal(made.filter(({ created }) => created).length, 1);
      const winner = made.find(({ created }) => created)?.account;
      for (const { account } of made) assert.deepEqual(account, winner);
      assert.deepEqual(await at.store.accounts.find('race@example.org'), winner);
      assert.deepEqual(
        (await at.store.mailboxes.list(winner!.id)).map(({ name }) => name),
        ['INBOX'],
      );
    });

    test('an account keeps days, no times, and refuses cleartext until told otherwise', async () => {
      const now = start + 13 * hour;
      const { account } = await at.store.accounts.create('days@example.org', 'hash', now);
      assert.equal(account.createdDay, start);
      assert.equal(account.lastLoginDay, start);
      assert.equal(account.acceptsCleartext, false);
      await at.store.accounts.touch(account.id, now + hour);
      await at.store.accounts.touch(account.id, now + 3 * day);
      await at.store.accounts.touch(account.id, now);
      await at.store.accounts.setAcceptsCleartext(account.id, true);
      await at.store.accounts.setPasswordHash(account.id, 'another');
      assert.deepEqual(await at.store.accounts.find('days@example.org'), {
        ...account,
        passwordHash: 'another',
        lastLoginDay: start + 3 * day,
        acceptsCleartext: true,
      });
    });

    test('many are found at once, by address, without those that are not there', async () => {
      const everyone = await Promise.all(Array.from({ length: 120 }, () => at.account()));
      for (const count of [0, 1, 10, 120]) {
        const some = everyone.slice(0, count);
        const found = await at.store.accounts.findMany([
          ...some.map(({ address }) => address),
          'nobody@example.org',
        ]);
        assert.deepEqual([...found.keys()].sort(), some.map(({ address }) => address).sort());
        for (const { address, account } of some) assert.equal(found.get(address)?.id, account);
      }
      assert.equal(await at.store.accounts.find('nobody@example.org'), undefined);
    });

    test('removing an account removes its mail, tokens and jobs, for everybody at once', async () => {
      const mine = await at.account();
      const other = await at.account();
      await at.store.mailboxes.create(mine.account, 'folder', start);
      await at.deliver(mine, sized(1000));
      await at.deliver(mine, sized(500_000));
      await at.store.tokens.add(mine.account, 'mine alone', start);
      await at.store.tokens.add(mine.account, 'shared', start);
      await at.store.tokens.add(other.account, 'shared', start);
      await at.store.accept({
        now: start,
        message: sized(100),
        headerSize: 6,
        deliveries: [
          { account: mine.account, push: true },
          { account: other.account, push: true },
        ],
      });
      await using open = await at.store.messages.body(mine.inbox, 2);
      await at.store.accounts.remove(mine.account);

      assert.ok(
        (await open?.read(0, 500_000))?.equals(sized(500_000)),
        'what was open is readable to the end',
      );
      assert.equal(await at.store.accounts.find(mine.address), undefined);
      assert.deepEqual(await at.store.mailboxes.list(mine.account), []);
      assert.equal(await at.store.mailboxes.status(mine.inbox), undefined);
      assert.equal(await at.store.messages.snapshot(mine.inbox), undefined);
      assert.deepEqual(await at.store.messages.get(mine.inbox, [1, 2, 3]), []);
      assert.equal(await at.store.messages.body(mine.inbox, 1), undefined);
      assert.deepEqual(await at.store.tokens.list(mine.account, start), []);
      assert.deepEqual(await at.store.tokens.list(other.account, start), ['shared']);
      const jobs = await at.store.pushJobs.claim(start, 100, 1000);
      assert.deepEqual(
        jobs.map(({ token }) => token),
        ['shared'],
      );
      assert.deepEqual(at.changesOf(mine.account).at(-1), { kind: 'account-removed', account: mine.account });
      assert.ok(await bytesOf(at.store, other.inbox, 1), 'the other recipient keeps the message');

      const late = await at.store.accept({
        now: start,
        message: sized(100),
        headerSize: 6,
        deliveries: [
          { account: mine.account, push: true },
          { account: other.account, push: false },
        ],
      });
      assert.deepEqual(
        late.deliveries.map(({ kind }) => kind),
        ['no-account', 'delivered'],
      );
      for (const work of [
        at.store.accounts.remove(mine.account),
        at.store.accounts.setPasswordHash(mine.account, 'x'),
        at.store.accounts.touch(mine.account, start + day),
        at.store.tokens.add(mine.account, 'late', start),
      ])
        await work;
      assert.deepEqual(await at.store.tokens.list(mine.account, start), []);
    });

    test('a plan for accounts that are all gone keeps nothing, and says so', async () => {
      const mine = await at.account();
      await at.store.accounts.remove(mine.account);
      const { deliveries } = await at.store.accept({
        now: start,
        message: sized(400_000),
        headerSize: 6,
        deliveries: [{ account: mine.account, push: true }],
      });
      assert.deepEqual(deliveries, [{ kind: 'no-account' }]);
    });

    test('the name is free again, for an account that has nothing of the old one', async () => {
      const mine = await at.account();
      const old = await at.store.messages.snapshot(mine.inbox);
      await at.deliver(mine);
      await at.store.accounts.remove(mine.account);
      const { account, created } = await at.store.accounts.create(mine.address, 'hash', start);
      assert.ok(created);
      assert.notEqual(account.id, mine.account);
      const inbox = await at.store.mailboxes.find(account.id, 'INBOX');
      assert.ok(inbox && old && inbox.uidValidity > old.uidValidity);
      assert.notEqual(inbox.id, mine.inbox);
      assert.deepEqual((await at.store.messages.snapshot(inbox.id))?.uids, []);
      assert.deepEqual(await at.store.accounts.quota(account.id), { used: 0, limit: 20 * MiB });
    });
  });

  describe('device tokens', () => {
    const at = useStore(open);

    test('are a set, oldest first by their last SETMETADATA, for 90 days', async () => {
      const mine = await at.account();
      const { tokens } = at.store;
      await tokens.add(mine.account, 'one', start);
      await tokens.add(mine.account, 'two', start + day);
      await tokens.add(mine.account, 'one', start + 2 * day);
      assert.deepEqual(await tokens.list(mine.account, start + 3 * day), ['two', 'one']);
      assert.deepEqual(await tokens.list(mine.account, start + day + TOKEN_LIFE), ['two', 'one']);
      assert.deepEqual(await tokens.list(mine.account, start + day + TOKEN_LIFE + 1), ['one']);
      assert.deepEqual(await tokens.list(mine.account, start + 3 * day + TOKEN_LIFE), []);
    });

    test('are bounded: the oldest goes', async () => {
      const mine = await at.account();
      for (let n = 0; n < MAX_TOKENS + 3; n += 1)
        await at.store.tokens.add(mine.account, `token ${n}`, start + n);
      await at.store.tokens.add(mine.account, 'token 5', start + 100);
      const list = await at.store.tokens.list(mine.account, start + 100);
      assert.equal(list.length, MAX_TOKENS);
      assert.equal(list[0], 'token 3');
      assert.equal(list.at(-1), 'token 5');
    });
  });

  describe('values', () => {
    const at = useStore(open);

    test('are kept, replaced, and set once', async () => {
      const { values } = at.store;
      assert.equal(await values.get('a'), undefined);
      await values.set('a', '1');
      await values.set('a', '2');
      assert.equal(await values.get('a'), '2');
      const once = await Promise.all(['x', 'y', 'z'].map((value) => values.setOnce('domain', value)));
      assert.equal(new Set(once).size, 1);
      assert.equal(await values.get('domain'), once[0]);
      assert.equal(await values.setOnce('a', '3'), '2');
    });

    test('are changed only from what they were thought to be, and by one of those who try at once', async () => {
      const { values } = at.store;
      for (const [was, key] of [
        [undefined, 'new'],
        ['2', 'kept'],
      ] as const) {
        if (was !== undefined) await values.set(key, was);
        const mine = ['x', 'y', 'z'];
        const done = await Promise.all(mine.map((value) => values.setIf(key, was, value)));
        assert.equal(done.filter(Boolean).length, 1);
        assert.equal(await values.get(key), mine[done.indexOf(true)]);
        assert.equal(await values.setIf(key, was, 'late'), false);
        assert.equal(await values.get(key), mine[done.indexOf(true)]);
      }
      assert.equal(await values.setIf('missing', 'something', 'value'), false);
      assert.equal(await values.get('missing'), undefined);
    });

    test('are removed only if they are what they were thought to be, by one of those who try at once', async () => {
      const { values } = at.store;
      await values.set('removed', '1');
      assert.equal(await values.removeIf('removed', '2'), false);
      assert.equal(await values.get('removed'), '1');
      const done = await Promise.all([1, 2, 3].map(() => values.removeIf('removed', '1')));
      assert.equal(done.filter(Boolean).length, 1);
      assert.equal(await values.get('removed'), undefined);
      assert.equal(await values.removeIf('removed', '1'), false);
      assert.equal(await values.setIf('removed', undefined, '3'), true, 'there is room for a new one');
    });

    test('are listed by what their keys begin with, in the order of the bytes', async () => {
      const { values } = at.store;
      // UTF-16 has the last two the other way round; none of these is a wildcard.
      const keys = [
        'list:',
        'list:%',
        'list:A',
        'list:a',
        'list:b_',
        'list:é',
        'list:\uFF5E',
        'list:\u{1F600}',
      ];
      for (const key of keys.toReversed()) await values.set(key, `of ${key}`);
      for (const key of ['list', 'List:a', 'lisu:a', 'xlist:a', 'listXa']) await values.set(key, 'other');
      const listed = await values.list('list:');
      assert.deepEqual(
        [...listed],
        keys.map((key) => [key, `of ${key}`]),
      );
      assert.deepEqual([...(await values.list('list:%')).keys()], ['list:%']);
      assert.deepEqual([...(await values.list('list:b_')).keys()], ['list:b_']);
      assert.equal((await values.list('nothing')).size, 0);
      await values.removeIf('list:a', 'of list:a');
      assert.equal((await values.list('list:')).size, keys.length - 1);
    });
  });
}
