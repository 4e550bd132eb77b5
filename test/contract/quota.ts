import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OverQuota } from '../../src/store/contract.ts';
import { bytesOf, day, headerSize, hour, sized, start, text, useStore } from './fixture.ts';
import type { Inbox, OpenStore } from './fixture.ts';

/** Bytes: messages of 1000 are a hundredth. */
const LIMIT = 100_000;

export function quotaSuite(open: OpenStore): void {
  describe('quota', () => {
    const at = useStore(open, LIMIT);
    const used = async (mine: Inbox) => (await at.store.accounts.quota(mine.account)).used;
    const uids = async (mine: Inbox) => (await at.store.messages.snapshot(mine.inbox))?.uids ?? [];
    const deliverMany = (mine: Inbox, count: number, now: number) =>
      Promise.all(Array.from({ length: count }, () => at.deliver(mine, sized(1000), now)));
    /** At once as far as nothing is looked for that may go: much faster than one after another. */
    const fill = async (mine: Inbox, count: number, now: number) => {
      await deliverMany(mine, Math.min(count, 75), now);
      await deliverMany(mine, Math.max(count - 75, 0), now);
    };

    test('a delivery that takes the account above 75 % first removes the oldest down to 70 %', async () => {
      const mine = await at.account();
      await fill(mine, 75, start);
      assert.equal(await used(mine), 75_000, '75 % is not above 75 %');
      await at.deliver(mine, sized(1000), start + 25 * hour);
      assert.equal(await used(mine), 70_000, 'with the new one');
      assert.deepEqual(
        await uids(mine),
        Array.from({ length: 70 }, (_, n) => n + 7),
      );
      const [expunge, exists] = at.changesOf(mine.account).slice(-2);
      assert.ok(expunge?.kind === 'expunge' && exists?.kind === 'exists');
      assert.deepEqual(expunge.uids, [1, 2, 3, 4, 5, 6]);
      assert.ok(expunge.modseq < exists.modseq, 'told in the order of MODSEQ');
      assert.deepEqual((await at.store.messages.expungedSince(mine.inbox, 0)).uids, [1, 2, 3, 4, 5, 6]);
    });

    test('none younger than 24 hours is removed, to the millisecond', async () => {
      const mine = await at.account();
      await fill(mine, 2, start);
      await fill(mine, 74, start + hour);
      assert.equal((await uids(mine)).length, 76);
      await at.deliver(mine, sized(1000), start + day);
      assert.deepEqual((await uids(mine)).slice(0, 2), [3, 4], 'the two of a day ago went, no other');
      await at.deliver(mine, sized(1000), start + day + hour - 1);
      assert.equal((await uids(mine)).length, 76);
      await at.deliver(mine, sized(1000), start + day + hour);
      assert.equal(await used(mine), 70_000);
    });

    test('young mail fills the account to its limit; then a delivery is over quota, and nothing of it is kept', async () => {
      const mine = await at.account();
      await fill(mine, 100, start);
      assert.equal(await used(mine), LIMIT);
      const before = await at.store.messages.snapshot(mine.inbox);
      const told = at.changesOf(mine.account).length;
      await assert.rejects(at.deliver(mine, text('one more'), start + hour), OverQuota);
      assert.deepEqual(await at.store.messages.snapshot(mine.inbox), before);
      assert.equal(at.changesOf(mine.account).length, told);
    });

    test('what can never fit removes nothing', async () => {
      const mine = await at.account();
      await fill(mine, 70, start);
      await assert.rejects(at.deliver(mine, sized(LIMIT + 1), start + 2 * day), OverQuota);
      assert.equal(await used(mine), 70_000);
      await fill(mine, 25, start + 2 * day);
      assert.equal((await uids(mine)).length, 71);
      await assert.rejects(at.deliver(mine, sized(76_000), start + 2 * day), OverQuota);
      assert.equal((await uids(mine)).length, 71, 'nor does what would not fit without the young ones');
      await at.deliver(mine, sized(75_000), start + 2 * day);
      assert.equal(await used(mine), LIMIT);
    });

    test('one recipient over quota leaves the others their copy', async () => {
      const full = await at.account();
      const free = await at.account();
      await fill(full, 100, start);
      const message = sized(2000);
      const plan = { now: start, message, headerSize: headerSize(message) };
      const { deliveries } = await at.store.accept({
        ...plan,
        deliveries: [full, free].map(({ account }) => ({ account, push: false })),
      });
      assert.deepEqual(
        deliveries.map(({ kind }) => kind),
        ['over-quota', 'delivered'],
      );
      assert.ok((await bytesOf(at.store, free.inbox, 1))?.equals(message));
      const gone = await at.account();
      await at.store.accounts.remove(gone.account);
      await assert.rejects(
        at.store.accept({
          ...plan,
          deliveries: [gone, full].map(({ account }) => ({ account, push: false })),
        }),
        OverQuota,
        'nobody has got it, and one for want of room',
      );
    });

    test('an account with more small old messages than one delivery removes gets down by the next ones', async () => {
      const mine = await at.account();
      await Promise.all(Array.from({ length: 740 }, () => at.deliver(mine, sized(100), start)));
      await at.deliver(mine, sized(30_000), start + 2 * day);
      assert.ok((await used(mine)) <= LIMIT);
      for (let n = 0; n < 3; n += 1) await at.deliver(mine, sized(1000), start + 2 * day);
      assert.ok((await used(mine)) <= 0.75 * LIMIT);
    });

    test('APPEND is refused where it does not fit', async () => {
      const mine = await at.account();
      await fill(mine, 99, start);
      const append = (message: Buffer) =>
        at.store.messages.append(mine.inbox, {
          now: start,
          message,
          headerSize: headerSize(message),
          flags: [],
          internalDate: start,
        });
      assert.equal(await append(sized(1001)), 'over-quota');
      assert.ok(typeof (await append(sized(1000))) === 'object');
      assert.equal(await used(mine), LIMIT);
    });
  });
}
