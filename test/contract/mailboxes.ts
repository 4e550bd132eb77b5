import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_MAILBOXES } from '../../src/store/contract.ts';
import { day, mailbox, sized, start, useStore } from './fixture.ts';
import type { Inbox, OpenStore } from './fixture.ts';

export function mailboxSuite(open: OpenStore): void {
  describe('mailboxes', () => {
    const at = useStore(open);
    const names = async (mine: Inbox) =>
      (await at.store.mailboxes.list(mine.account)).map(({ name }) => name);

    test('an account begins with INBOX, empty, subscribed, with counters that RFC 9051 and 7162 allow', async () => {
      const mine = await at.account();
      const [inbox] = await at.store.mailboxes.list(mine.account);
      assert.deepEqual(inbox, await mailbox(at.store, mine.account, 'INBOX'));
      assert.ok(inbox && inbox.uidValidity > 0 && inbox.uidValidity < 2 ** 32);
      assert.equal(inbox.uidNext, 1);
      assert.ok(inbox.highestModseq >= 1);
      assert.equal(inbox.subscribed, true);
      assert.deepEqual(await at.store.mailboxes.status(inbox.id), {
        ...inbox,
        messages: 0,
        unseen: 0,
        size: 0,
      });
      assert.deepEqual(await at.store.messages.snapshot(inbox.id), {
        uidValidity: inbox.uidValidity,
        uidNext: 1,
        highestModseq: inbox.highestModseq,
        uids: [],
        firstUnseen: undefined,
      });
    });

    test('are listed INBOX first, then by name; any name that IMAP can say is kept', async () => {
      const mine = await at.account();
      const odd = ['Archive', 'a/b', 'häufig', '日本語', 'with space', 'quote"back\\', '😀'];
      for (const name of odd)
        assert.equal(await at.store.mailboxes.create(mine.account, name, start), 'created');
      const listed = await names(mine);
      assert.equal(listed[0], 'INBOX');
      assert.deepEqual(new Set(listed.slice(1)), new Set(odd));
      for (const name of odd) assert.equal((await mailbox(at.store, mine.account, name)).name, name);
      assert.equal(await at.store.mailboxes.create(mine.account, 'Archive', start), 'exists');
      assert.equal(await at.store.mailboxes.find(mine.account, 'nothing'), undefined);
    });

    test('are bounded in number, also when many are made at once', async () => {
      const mine = await at.account();
      const outcomes = await Promise.all(
        Array.from({ length: MAX_MAILBOXES + 5 }, (_, n) =>
          at.store.mailboxes.create(mine.account, `m${n}`, start),
        ),
      );
      assert.equal(outcomes.filter((outcome) => outcome === 'created').length, MAX_MAILBOXES - 1);
      assert.equal(outcomes.filter((outcome) => outcome === 'too-many').length, 6);
      assert.equal((await names(mine)).length, MAX_MAILBOXES);
    });

    test('count what is in them', async () => {
      const mine = await at.account();
      for (const size of [100, 200, 300]) await at.deliver(mine, sized(size));
      await at.store.messages.storeFlags(mine.inbox, [2], { action: 'add', flags: ['\\Seen'] });
      const status = await at.store.mailboxes.status(mine.inbox);
      assert.deepEqual([status?.messages, status?.unseen, status?.size, status?.uidNext], [3, 2, 600, 4]);
    });

    test('a removed one is gone with its mail; made anew under the name it has a higher UIDVALIDITY', async () => {
      const mine = await at.account();
      let last = 0;
      for (let round = 0; round < 4; round += 1) {
        // The clock may stand still, or go back.
        assert.equal(await at.store.mailboxes.create(mine.account, 'again', start - round * day), 'created');
        const made = await mailbox(at.store, mine.account, 'again');
        assert.ok(made.uidValidity > last, `${made.uidValidity} after ${last}`);
        last = made.uidValidity;
        await at.deliver(mine, sized(1000));
        await at.store.messages.copy(mine.inbox, [round + 1], made.id, { move: true, now: start });
        assert.equal(await at.store.mailboxes.remove(made.id), 'removed');
        assert.equal(await at.store.mailboxes.remove(made.id), 'missing');
        assert.equal(await at.store.mailboxes.status(made.id), undefined);
        assert.deepEqual(await at.store.messages.get(made.id, [1]), []);
        assert.deepEqual(await at.store.messages.changedSince(made.id, 0), []);
        assert.equal((await at.store.messages.headers(made.id, [1])).size, 0);
        assert.equal(await at.store.messages.body(made.id, 1), undefined);
        assert.equal((await at.store.accounts.quota(mine.account)).used, 0);
        const removed = { kind: 'mailbox-removed', account: mine.account, mailbox: made.id };
        assert.deepEqual(at.changesOf(mine.account).at(-1), removed);
        assert.deepEqual(await at.store.messages.expunge(made.id, 'all'), []);
        assert.deepEqual(await at.store.messages.storeFlags(made.id, [1], { action: 'set', flags: [] }), {
          changed: [],
          refused: [],
        });
      }
    });

    test('UIDVALIDITY is unique, and keeps up with the clock', async () => {
      const everyone = await Promise.all(Array.from({ length: 20 }, () => at.account()));
      const values = await Promise.all(
        everyone.map(async ({ account }) => (await mailbox(at.store, account, 'INBOX')).uidValidity),
      );
      assert.equal(new Set(values).size, 20);
      assert.ok(values.every((value) => value >= start / 1000));
    });

    test('a renamed one keeps its id, UIDs and mail, and takes those below along', async () => {
      const mine = await at.account();
      for (const name of ['a', 'a/b', 'a/b/c', 'ab', 'x'])
        await at.store.mailboxes.create(mine.account, name, start);
      const before = await mailbox(at.store, mine.account, 'a');
      assert.equal(await at.store.mailboxes.rename(before.id, 'x'), 'exists');
      assert.equal(await at.store.mailboxes.rename(before.id, 'a'), 'renamed');
      assert.equal(await at.store.mailboxes.rename(before.id, 'n'), 'renamed');
      assert.deepEqual(new Set(await names(mine)), new Set(['INBOX', 'n', 'n/b', 'n/b/c', 'ab', 'x']));
      assert.deepEqual(await mailbox(at.store, mine.account, 'n'), { ...before, name: 'n' });
      assert.equal(await at.store.mailboxes.rename(before.id, 'n/b'), 'renamed');
      assert.deepEqual(new Set(await names(mine)), new Set(['INBOX', 'n/b', 'n/b/b', 'n/b/b/c', 'ab', 'x']));
      await at.store.mailboxes.create(mine.account, 'z/b', start);
      assert.equal(await at.store.mailboxes.rename(before.id, 'z'), 'exists');
      assert.ok((await names(mine)).includes('n/b/b/c'), 'nothing was renamed');
      await at.store.mailboxes.remove(before.id);
      assert.equal(await at.store.mailboxes.rename(before.id, 'q'), 'missing');
    });

    test('subscription is kept', async () => {
      const mine = await at.account();
      await at.store.mailboxes.create(mine.account, 'f', start);
      const { id, subscribed } = await mailbox(at.store, mine.account, 'f');
      assert.equal(subscribed, false);
      await at.store.mailboxes.subscribe(id, true);
      assert.equal((await mailbox(at.store, mine.account, 'f')).subscribed, true);
      await at.store.mailboxes.subscribe(id, false);
      assert.equal((await mailbox(at.store, mine.account, 'f')).subscribed, false);
    });
  });
}
