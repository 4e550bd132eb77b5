import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailboxId, Store } from '../../src/store/contract.ts';
import { headerSize, sized, start, text, useStore } from './fixture.ts';
import type { OpenStore } from './fixture.ts';

/**
 * Reads as Delta Chat does (client.md 2.5): from its own UIDNEXT up to the mailbox's, and never again below. What
 * becomes visible behind its back it never sees.
 */
function createDeltaChatReader(store: Store, mailbox: MailboxId) {
  const seen: number[] = [];
  let uidNext = 1;
  return {
    seen,
    async read(): Promise<void> {
      const snapshot = await store.messages.snapshot(mailbox);
      assert.ok(snapshot);
      const wanted = snapshot.uids.filter((uid) => uid >= uidNext);
      assert.ok(
        wanted.every((uid) => uid < snapshot.uidNext),
        'a UID is visible that UIDNEXT does not cover',
      );
      for (let from = 0; from < wanted.length; from += 500) {
        const messages = await store.messages.get(mailbox, wanted.slice(from, from + 500));
        seen.push(...messages.map(({ uid }) => uid));
      }
      uidNext = snapshot.uidNext;
    },
  };
}

export function orderSuite(open: OpenStore): void {
  describe('order of UIDs', () => {
    const at = useStore(open, 1024 * 1024 * 1024);

    test('a reader with Delta Chat’s UIDNEXT logic sees every one of 50 concurrent deliveries, ten times', async () => {
      const mine = await at.account();
      const reader = createDeltaChatReader(at.store, mine.inbox);
      for (let round = 0; round < 10; round += 1) {
        let open = true;
        const deliveries = Promise.all(
          Array.from({ length: 50 }, (_, n) =>
            // Small ones and ones that go to files, so that some take much longer than others.
            at.deliver(mine, n % 7 === 0 ? sized(300_000 + n) : text(`${round} ${n}`)),
          ),
        ).finally(() => (open = false));
        while (open) await reader.read();
        await deliveries;
      }
      await reader.read();
      const all = Array.from({ length: 500 }, (_, n) => n + 1);
      assert.deepEqual(reader.seen, all);
    });

    test('UIDs of concurrent deliveries, appends and copies are dense and unique, MODSEQ ascends with them', async () => {
      const mine = await at.account();
      const first = await at.deliver(mine);
      const message = text('appended');
      const uids = await Promise.all(
        Array.from({ length: 60 }, async (_, n) => {
          if (n % 3 === 0) return at.deliver(mine);
          if (n % 3 === 1) {
            const result = await at.store.messages.append(mine.inbox, {
              now: start,
              message,
              headerSize: headerSize(message),
              flags: [],
              internalDate: start,
            });
            return typeof result === 'object' ? result.uid : 0;
          }
          const copied = await at.store.messages.copy(mine.inbox, [first], mine.inbox, {
            move: false,
            now: start,
          });
          return typeof copied === 'object' ? (copied.target[0] ?? 0) : 0;
        }),
      );
      assert.deepEqual(
        uids.toSorted((one, other) => one - other),
        Array.from({ length: 60 }, (_, n) => n + 2),
      );
      const messages = await at.store.messages.get(mine.inbox, [first, ...uids]);
      const modseqs = messages.map(({ modseq }) => modseq);
      assert.deepEqual(
        modseqs,
        modseqs.toSorted((one, other) => one - other),
      );
      assert.equal(new Set(modseqs).size, modseqs.length);
    });

    test('a UID is not given again after its message went, whichever it was', async () => {
      const mine = await at.account();
      await at.deliver(mine);
      const last = await at.deliver(mine);
      await at.store.messages.storeFlags(mine.inbox, [last], { action: 'add', flags: ['\\Deleted'] });
      await at.store.messages.expunge(mine.inbox, 'all');
      assert.equal((await at.store.messages.snapshot(mine.inbox))?.uidNext, last + 1);
      assert.equal(await at.deliver(mine), last + 1);
    });

    test('when a delivery resolves, its message is visible to every way of reading', async () => {
      const mine = await at.account();
      for (let n = 0; n < 20; n += 1) {
        const uid = await at.deliver(mine);
        const [snapshot, messages, status, box] = await Promise.all([
          at.store.messages.snapshot(mine.inbox),
          at.store.messages.get(mine.inbox, [uid]),
          at.store.mailboxes.status(mine.inbox),
          at.store.mailboxes.find(mine.account, 'INBOX'),
        ]);
        assert.equal(snapshot?.uids.at(-1), uid);
        assert.equal(snapshot?.firstUnseen, 1);
        assert.equal(messages.length, 1);
        assert.equal(status?.messages, uid);
        assert.equal(box?.uidNext, uid + 1);
      }
    });
  });
}
