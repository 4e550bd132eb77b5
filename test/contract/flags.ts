import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_KEYWORDS } from '../../src/store/contract.ts';
import { useStore } from './fixture.ts';
import type { OpenStore } from './fixture.ts';

export function flagSuite(open: OpenStore): void {
  describe('flags and MODSEQ', () => {
    const at = useStore(open);
    const flagsOf = async (inbox: Parameters<typeof at.store.messages.get>[0], uid: number) =>
      new Set((await at.store.messages.get(inbox, [uid]))[0]?.flags);

    test('set, add and remove do what RFC 9051 6.4.6 says', async () => {
      const mine = await at.account();
      const uid = await at.deliver(mine);
      const steps: [action: 'set' | 'add' | 'remove', flags: string[], after: string[]][] = [
        ['add', ['\\Seen'], ['\\Seen']],
        ['add', ['\\Flagged', '$MDNSent'], ['\\Seen', '\\Flagged', '$MDNSent']],
        ['remove', ['\\Seen', '\\Answered'], ['\\Flagged', '$MDNSent']],
        ['set', ['\\Draft', 'keyword'], ['\\Draft', 'keyword']],
        ['add', ['\\Answered', '\\Deleted'], ['\\Draft', '\\Answered', '\\Deleted', 'keyword']],
        ['remove', ['keyword'], ['\\Draft', '\\Answered', '\\Deleted']],
        ['add', [], ['\\Draft', '\\Answered', '\\Deleted']],
        ['set', [], []],
      ];
      for (const [action, flags, after] of steps) {
        const { changed } = await at.store.messages.storeFlags(mine.inbox, [uid], { action, flags });
        assert.deepEqual(new Set(changed[0]?.flags), new Set(after), `${action} ${flags.join(' ')}`);
        assert.deepEqual(await flagsOf(mine.inbox, uid), new Set(after));
      }
    });

    test('flags are compared without case; system flags come in RFC spelling, keywords as first given', async () => {
      const mine = await at.account();
      const uid = await at.deliver(mine);
      const { messages } = at.store;
      await messages.storeFlags(mine.inbox, [uid], {
        action: 'add',
        flags: ['\\sEEN', 'Work', '\\Recent', '\\Odd'],
      });
      await messages.storeFlags(mine.inbox, [uid], { action: 'add', flags: ['WORK', 'work'] });
      assert.deepEqual(await flagsOf(mine.inbox, uid), new Set(['\\Seen', 'Work']));
      await messages.storeFlags(mine.inbox, [uid], { action: 'remove', flags: ['wORK'] });
      assert.deepEqual(await flagsOf(mine.inbox, uid), new Set(['\\Seen']));
    });

    test('keywords are bounded', async () => {
      const mine = await at.account();
      const uid = await at.deliver(mine);
      const flags = Array.from({ length: MAX_KEYWORDS + 10 }, (_, n) => `keyword${n}`);
      await at.store.messages.storeFlags(mine.inbox, [uid], { action: 'set', flags: [...flags, '\\Seen'] });
      assert.deepEqual(await flagsOf(mine.inbox, uid), new Set(['\\Seen', ...flags.slice(0, MAX_KEYWORDS)]));
    });

    test('each STORE has one MODSEQ, higher than any before, for all its messages; the rest keep theirs', async () => {
      const mine = await at.account();
      for (let n = 0; n < 5; n += 1) await at.deliver(mine);
      const before = await at.store.messages.snapshot(mine.inbox);
      const { changed } = await at.store.messages.storeFlags(mine.inbox, [4, 2, 2, 99], {
        action: 'add',
        flags: ['\\Seen'],
      });
      assert.deepEqual(
        changed.map(({ uid }) => uid),
        [2, 4],
      );
      const after = await at.store.messages.snapshot(mine.inbox);
      assert.ok(before && after && after.highestModseq > before.highestModseq);
      assert.deepEqual(
        changed.map(({ modseq }) => modseq),
        [after.highestModseq, after.highestModseq],
      );
      const since = await at.store.messages.changedSince(mine.inbox, before.highestModseq);
      assert.deepEqual(since, changed);
      assert.deepEqual(await at.store.messages.changedSince(mine.inbox, after.highestModseq), []);
      assert.equal((await at.store.messages.changedSince(mine.inbox, 0)).length, 5);
      assert.equal(after.firstUnseen, 1);
    });

    test('a STORE that changes nothing answers with the messages and leaves MODSEQ and listeners alone', async () => {
      const mine = await at.account();
      const uid = await at.deliver(mine);
      await at.store.messages.storeFlags(mine.inbox, [uid], { action: 'add', flags: ['\\Seen'] });
      const before = await at.store.messages.get(mine.inbox, [uid]);
      const told = at.changesOf(mine.account).length;
      const { changed } = await at.store.messages.storeFlags(mine.inbox, [uid], {
        action: 'add',
        flags: ['\\Seen'],
      });
      assert.deepEqual(changed, before);
      assert.equal(at.changesOf(mine.account).length, told);
    });

    test('UNCHANGEDSINCE leaves newer messages alone and names them (RFC 7162 3.1.3)', async () => {
      const mine = await at.account();
      for (let n = 0; n < 3; n += 1) await at.deliver(mine);
      const unchangedSince = (await at.store.messages.snapshot(mine.inbox))?.highestModseq ?? 0;
      await at.store.messages.storeFlags(mine.inbox, [2], { action: 'add', flags: ['\\Flagged'] });
      const outcome = await at.store.messages.storeFlags(mine.inbox, [1, 2, 3, 9], {
        action: 'set',
        flags: ['\\Seen'],
        unchangedSince,
      });
      assert.deepEqual(outcome.refused, [2]);
      assert.deepEqual(
        outcome.changed.map(({ uid, flags }) => [uid, flags]),
        [
          [1, ['\\Seen']],
          [3, ['\\Seen']],
        ],
      );
      assert.deepEqual(await flagsOf(mine.inbox, 2), new Set(['\\Flagged']));
      const never = await at.store.messages.storeFlags(mine.inbox, [1, 3], {
        action: 'add',
        flags: ['\\Deleted'],
        unchangedSince: 0,
      });
      assert.deepEqual(never, { changed: [], refused: [1, 3] });
    });

    test('50 sessions that store flags at once lose none, and each gets a MODSEQ of its own', async () => {
      const mine = await at.account();
      const uid = await at.deliver(mine);
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, n) =>
          at.store.messages.storeFlags(mine.inbox, [uid], { action: 'add', flags: [`k${n}`] }),
        ),
      );
      assert.equal(new Set(outcomes.map(({ changed }) => changed[0]?.modseq)).size, 50);
      assert.equal((await flagsOf(mine.inbox, uid)).size, 50);
    });

    test('a snapshot names the lowest UID without \\Seen', async () => {
      const mine = await at.account();
      for (let n = 0; n < 4; n += 1) await at.deliver(mine);
      await at.store.messages.storeFlags(mine.inbox, [1, 2, 4], { action: 'add', flags: ['\\Seen'] });
      assert.equal((await at.store.messages.snapshot(mine.inbox))?.firstUnseen, 3);
      assert.equal((await at.store.mailboxes.status(mine.inbox))?.unseen, 1);
      await at.store.messages.storeFlags(mine.inbox, [3], { action: 'add', flags: ['\\Seen'] });
      assert.equal((await at.store.messages.snapshot(mine.inbox))?.firstUnseen, undefined);
    });
  });
}
