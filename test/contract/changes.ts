import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Change } from '../../src/store/contract.ts';
import { mailbox, sized, start, text, useStore } from './fixture.ts';
import type { OpenStore } from './fixture.ts';

export function changeSuite(open: OpenStore): void {
  describe('changes', () => {
    const at = useStore(open, 1024 * 1024 * 1024);

    test('are told once each, in the order of MODSEQ, under concurrent load of all kinds', async () => {
      const mine = await at.account();
      await at.store.mailboxes.create(mine.account, 'other', start);
      const other = (await mailbox(at.store, mine.account, 'other')).id;
      for (let n = 0; n < 10; n += 1) await at.deliver(mine);
      const { messages } = at.store;
      await Promise.all(
        Array.from({ length: 100 }, async (_, n) => {
          const uid = (n % 10) + 1;
          if (n % 5 === 0) return at.deliver(mine, n % 20 === 0 ? sized(300_000) : text(`${n}`));
          if (n % 5 === 1) return messages.storeFlags(mine.inbox, [uid], { action: 'add', flags: [`k${n}`] });
          if (n % 5 === 2) return messages.copy(mine.inbox, [uid], other, { move: n % 2 === 0, now: start });
          if (n % 5 === 3)
            return messages.storeFlags(mine.inbox, [uid], { action: 'add', flags: ['\\Deleted'] });
          return messages.expunge(mine.inbox, [uid]);
        }),
      );
      for (const box of [mine.inbox, other]) {
        const told = at
          .changesOf(mine.account)
          .filter((change) => 'mailbox' in change && change.mailbox === box);
        const modseqs = told.map((change) => ('modseq' in change ? change.modseq : 0));
        for (const [index, modseq] of modseqs.entries())
          if (index > 0)
            assert.ok(modseq > (modseqs[index - 1] ?? 0), `${modseq} after ${modseqs[index - 1]}`);
        // Whoever only listens ends with what is there.
        const heard = replay(told);
        const snapshot = await messages.snapshot(box);
        assert.deepEqual(
          [...heard.keys()].toSorted((one, next) => one - next),
          snapshot?.uids,
        );
        assert.equal(modseqs.at(-1), snapshot?.highestModseq);
        for (const { uid, flags } of await messages.get(box, [...heard.keys()]))
          assert.deepEqual(new Set(heard.get(uid)), new Set(flags));
      }
    });

    test('a listener that reads at once sees what it is told of', async () => {
      const mine = await at.account();
      const reads: Promise<void>[] = [];
      at.listener = (change) => {
        if (change.kind !== 'exists' || change.account !== mine.account) return;
        // Begun within the call itself, before the delivery resolves.
        const found = [
          at.store.messages.get(mine.inbox, [change.uid]),
          at.store.messages.snapshot(mine.inbox),
          at.store.messages.headers(mine.inbox, [change.uid]),
          at.store.messages.body(mine.inbox, change.uid),
        ] as const;
        reads.push(
          Promise.all(found).then(async ([messages, snapshot, headers, body]) => {
            await using opened = body;
            assert.equal(messages[0]?.modseq, change.modseq);
            assert.ok(snapshot);
            assert.ok(snapshot.uids.includes(change.uid));
            assert.ok(snapshot.highestModseq >= change.modseq);
            assert.equal(headers.size, 1);
            assert.ok(opened);
          }),
        );
      };
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => at.deliver(mine, n % 4 === 0 ? sized(300_000) : text('x'))),
      );
      at.listener = undefined;
      await Promise.all(reads);
      assert.equal(reads.length, 40);
    });

    test('have been told when the promise resolves', async () => {
      const mine = await at.account();
      const uid = await at.deliver(mine);
      assert.deepEqual(at.changesOf(mine.account).map(kindOf), ['exists']);
      await at.store.messages.storeFlags(
        mine.inbox,
        [uid],
        { action: 'add', flags: ['\\Deleted'] },
        'session',
      );
      assert.deepEqual(at.changesOf(mine.account).map(kindOf), ['exists', 'flags']);
      const flags = at.changesOf(mine.account)[1];
      assert.ok(flags?.kind === 'flags');
      assert.equal(flags.origin, 'session');
      assert.deepEqual(flags.messages, [{ uid, flags: ['\\Deleted'] }]);
      await at.store.messages.expunge(mine.inbox, 'all');
      assert.deepEqual(at.changesOf(mine.account).map(kindOf), ['exists', 'flags', 'expunge']);
    });

    test('a delivery with flags tells them', async () => {
      const mine = await at.account();
      const message = text('x');
      const plan = { now: start, message, headerSize: message.length };
      await at.store.accept({
        ...plan,
        deliveries: [{ account: mine.account, push: false, flags: ['\\Seen', 'k'] }],
      });
      const [change] = at.changesOf(mine.account);
      assert.deepEqual(change?.kind === 'exists' && new Set(change.flags), new Set(['\\Seen', 'k']));
    });
  });
}

const kindOf = (change: Change) => change.kind;

/** The messages of a mailbox, as one who only heard of its changes knows them. */
function replay(changes: readonly Change[]): Map<number, readonly string[]> {
  const known = new Map<number, readonly string[]>();
  for (const change of changes) {
    if (change.kind === 'exists') known.set(change.uid, change.flags);
    if (change.kind === 'flags') for (const { uid, flags } of change.messages) known.set(uid, flags);
    if (change.kind === 'expunge') for (const uid of change.uids) known.delete(uid);
  }
  return known;
}
