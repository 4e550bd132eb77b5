import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bytesOf, day, mailbox, MiB, sized, start, text, useStore } from './fixture.ts';
import type { Inbox, OpenStore } from './fixture.ts';

export function copySuite(open: OpenStore): void {
  describe('copy and move', () => {
    const at = useStore(open, 10 * MiB);
    const folder = async (mine: Inbox, name = 'DeltaChat') => {
      assert.equal(await at.store.mailboxes.create(mine.account, name, start), 'created');
      return (await mailbox(at.store, mine.account, name)).id;
    };

    test('COPY makes new messages with flags and INTERNALDATE, and answers with pairs of UIDs', async () => {
      const mine = await at.account();
      const to = await folder(mine);
      for (const body of ['one', 'two', 'three']) await at.deliver(mine, text(body));
      await at.store.messages.storeFlags(mine.inbox, [3], { action: 'set', flags: ['\\Seen', 'kept'] });
      const now = start + day;
      const copied = await at.store.messages.copy(mine.inbox, [3, 1, 8], to, { move: false, now });
      const target = await at.store.messages.snapshot(to);
      assert.deepEqual(copied, { uidValidity: target?.uidValidity, source: [1, 3], target: [1, 2] });
      const [, second] = await at.store.messages.get(to, [1, 2]);
      assert.deepEqual(new Set(second?.flags), new Set(['\\Seen', 'kept']));
      assert.equal(second?.internalDate, start);
      assert.equal(second?.saveDate, now);
      assert.ok((await bytesOf(at.store, to, 2))?.equals(text('three')));
      assert.deepEqual((await at.store.messages.snapshot(mine.inbox))?.uids, [1, 2, 3]);
      const used = text('one').length * 2 + text('two').length + text('three').length * 2;
      assert.equal((await at.store.accounts.quota(mine.account)).used, used);
    });

    test('MOVE takes them out of the first mailbox in the same step', async () => {
      const mine = await at.account();
      const to = await folder(mine);
      for (let n = 0; n < 3; n += 1) await at.deliver(mine, text(`message ${n}`));
      const before = await at.store.accounts.quota(mine.account);
      const moved = await at.store.messages.copy(mine.inbox, [1, 3], to, {
        move: true,
        now: start,
        origin: 'me',
      });
      assert.ok(typeof moved === 'object');
      assert.deepEqual(
        [moved.source, moved.target],
        [
          [1, 3],
          [1, 2],
        ],
      );
      assert.deepEqual((await at.store.messages.snapshot(mine.inbox))?.uids, [2]);
      assert.ok((await bytesOf(at.store, to, 2))?.equals(text('message 2')));
      assert.deepEqual(await at.store.accounts.quota(mine.account), before);
      const told = at.changesOf(mine.account).slice(-3);
      assert.deepEqual(
        told.map((change) => [
          change.kind,
          'mailbox' in change && change.mailbox,
          'origin' in change && change.origin,
        ]),
        [
          ['exists', to, 'me'],
          ['exists', to, 'me'],
          ['expunge', mine.inbox, 'me'],
        ],
      );
      assert.deepEqual((await at.store.messages.expungedSince(mine.inbox, 0)).uids, [1, 3]);
    });

    test('a big message moved along many mailboxes stays whole', async () => {
      const mine = await at.account();
      const message = sized(2 * MiB);
      let from = mine.inbox;
      let uid = await at.deliver(mine, message);
      for (let n = 0; n < 5; n += 1) {
        const to = await folder(mine, `folder ${n}`);
        const moved = await at.store.messages.copy(from, [uid], to, { move: true, now: start });
        assert.ok(typeof moved === 'object');
        from = to;
        uid = moved.target[0] ?? 0;
      }
      assert.ok((await bytesOf(at.store, from, uid))?.equals(message));
      assert.equal((await at.store.accounts.quota(mine.account)).used, message.length);
    });

    test('within one mailbox they work too', async () => {
      const mine = await at.account();
      await at.deliver(mine);
      const copied = await at.store.messages.copy(mine.inbox, [1], mine.inbox, { move: false, now: start });
      assert.deepEqual(typeof copied === 'object' && copied.target, [2]);
      const moved = await at.store.messages.copy(mine.inbox, [1], mine.inbox, { move: true, now: start });
      assert.deepEqual(typeof moved === 'object' && moved.target, [3]);
      assert.deepEqual((await at.store.messages.snapshot(mine.inbox))?.uids, [2, 3]);
      assert.equal((await at.store.accounts.quota(mine.account)).used, 2 * text('hello').length);
      const modseqs = at.changesOf(mine.account).map((change) => ('modseq' in change ? change.modseq : 0));
      assert.deepEqual(
        modseqs,
        modseqs.toSorted((one, other) => one - other),
      );
    });

    test('a copy that does not fit is refused whole; a move needs no room', async () => {
      const mine = await at.account();
      const to = await folder(mine);
      await at.deliver(mine, sized(3 * MiB));
      await at.deliver(mine, sized(4 * MiB));
      const { messages } = at.store;
      assert.equal(await messages.copy(mine.inbox, [1, 2], to, { move: false, now: start }), 'over-quota');
      assert.deepEqual((await messages.snapshot(to))?.uids, []);
      assert.ok(
        typeof (await messages.copy(mine.inbox, [1, 2], to, { move: true, now: start })) === 'object',
      );
    });

    test('a mailbox that is missing, or somebody else’s, is missing', async () => {
      const mine = await at.account();
      const other = await at.account();
      await at.deliver(mine);
      const { messages } = at.store;
      const how = { move: false, now: start };
      assert.equal(await messages.copy(mine.inbox, [1], other.inbox, how), 'missing');
      assert.equal(await messages.copy(mine.inbox, [1], 'nowhere' as typeof mine.inbox, how), 'missing');
      const nothing = await messages.copy(mine.inbox, [9], mine.inbox, how);
      assert.deepEqual(typeof nothing === 'object' && [nothing.source, nothing.target], [[], []]);
    });
  });
}
