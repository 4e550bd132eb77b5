import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailboxId } from '../../src/store/contract.ts';
import { mailbox, text, useStore } from './fixture.ts';
import type { OpenStore } from './fixture.ts';

export function expungeSuite(open: OpenStore): void {
  describe('expunge', () => {
    const at = useStore(open);
    const mark = (inbox: Parameters<typeof at.store.messages.get>[0], uids: number[]) =>
      at.store.messages.storeFlags(inbox, uids, { action: 'add', flags: ['\\Deleted'] });

    test('removes what carries \\Deleted, of the UIDs asked for, and nothing else', async () => {
      const mine = await at.account();
      for (let n = 0; n < 6; n += 1) await at.deliver(mine);
      await mark(mine.inbox, [1, 3, 5, 6]);
      assert.deepEqual(await at.store.messages.expunge(mine.inbox, [6, 3, 2, 77]), [3, 6]);
      assert.deepEqual((await at.store.messages.snapshot(mine.inbox))?.uids, [1, 2, 4, 5]);
      assert.deepEqual(await at.store.messages.expunge(mine.inbox, 'all'), [1, 5]);
      assert.deepEqual((await at.store.messages.snapshot(mine.inbox))?.uids, [2, 4]);
      assert.deepEqual(await at.store.messages.expunge(mine.inbox, 'all'), []);
    });

    test('a second reader learns of it by its change, and by MODSEQ', async () => {
      const mine = await at.account();
      for (let n = 0; n < 4; n += 1) await at.deliver(mine);
      const before = await at.store.messages.snapshot(mine.inbox);
      assert.ok(before);
      await mark(mine.inbox, [2, 3]);
      const marked = await at.store.messages.snapshot(mine.inbox);
      await at.store.messages.expunge(mine.inbox, 'all', 'session 1');
      const after = await at.store.messages.snapshot(mine.inbox);
      assert.ok(marked && after && after.highestModseq > marked.highestModseq);
      assert.deepEqual(at.changesOf(mine.account).at(-1), {
        kind: 'expunge',
        account: mine.account,
        mailbox: mine.inbox,
        modseq: after.highestModseq,
        uids: [2, 3],
        origin: 'session 1',
      });
      const { messages } = at.store;
      assert.deepEqual(await messages.expungedSince(mine.inbox, before.highestModseq), {
        uids: [2, 3],
        complete: true,
      });
      assert.deepEqual(await messages.expungedSince(mine.inbox, after.highestModseq), {
        uids: [],
        complete: true,
      });
      assert.deepEqual(
        (await messages.changedSince(mine.inbox, before.highestModseq)).map(({ uid }) => uid),
        [],
        'what is expunged is not changed',
      );
    });

    test('frees the quota', async () => {
      const mine = await at.account();
      const message = text('some bytes');
      for (let n = 0; n < 3; n += 1) await at.deliver(mine, message);
      assert.equal((await at.store.accounts.quota(mine.account)).used, 3 * message.length);
      await mark(mine.inbox, [1, 2]);
      await at.store.messages.expunge(mine.inbox, 'all');
      assert.equal((await at.store.accounts.quota(mine.account)).used, message.length);
    });

    test('expunged UIDs are remembered to a bound; whoever asks for older ones is told that some are missing', async () => {
      const mine = await at.account();
      await at.store.mailboxes.create(mine.account, 'stock', 0);
      const stock = (await mailbox(at.store, mine.account, 'stock')).id;
      const fifty = Array.from({ length: 50 }, (_, n) => n + 1);
      const copy = (from: MailboxId, uids: number[], to: MailboxId) =>
        at.store.messages.copy(from, uids, to, { move: false, now: 0 });
      await copy(mine.inbox, [await at.deliver(mine)], stock);
      await mark(mine.inbox, [1]);
      await at.store.messages.expunge(mine.inbox, 'all');
      await mark(stock, [1]);
      for (let there = 1; there < 50; there *= 2) await copy(stock, fifty.slice(0, there), stock);
      const start = (await at.store.messages.snapshot(mine.inbox))?.highestModseq ?? 0;
      const seen: { modseq: number; gone: number[] }[] = [];
      const gone: number[] = [];
      for (let round = 0; round < 30; round += 1) {
        await copy(stock, fifty, mine.inbox);
        gone.push(...(await at.store.messages.expunge(mine.inbox, 'all')));
        seen.push({
          modseq: (await at.store.messages.snapshot(mine.inbox))?.highestModseq ?? 0,
          gone: [...gone],
        });
      }
      for (const { modseq, gone: before } of seen) {
        const since = await at.store.messages.expungedSince(mine.inbox, modseq);
        const expected = gone.slice(before.length);
        if (since.complete) assert.deepEqual(since.uids, expected);
        else assert.ok(since.uids.every((uid) => expected.includes(uid)));
      }
      const complete = await Promise.all(
        seen.map(async ({ modseq }) => (await at.store.messages.expungedSince(mine.inbox, modseq)).complete),
      );
      assert.ok(complete.at(-10), 'the newest 500 are remembered');
      assert.deepEqual(complete, complete.toSorted(), 'forgotten from the old end');
      const all = await at.store.messages.expungedSince(mine.inbox, start);
      assert.ok(!all.complete || all.uids.length === gone.length);
    });

    test('two sessions that expunge at once remove each message once', async () => {
      const mine = await at.account();
      for (let n = 0; n < 20; n += 1) await at.deliver(mine);
      await mark(
        mine.inbox,
        Array.from({ length: 20 }, (_, n) => n + 1),
      );
      const removed = await Promise.all(
        Array.from({ length: 4 }, () => at.store.messages.expunge(mine.inbox, 'all')),
      );
      assert.equal(removed.flat().length, 20);
      const told = at
        .changesOf(mine.account)
        .flatMap((change) => (change.kind === 'expunge' ? change.uids : []));
      assert.equal(told.length, 20);
    });
  });
}
