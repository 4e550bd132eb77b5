import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TOKEN_LIFE } from '../../src/store/contract.ts';
import type { PushJob } from '../../src/store/contract.ts';
import { minute, start, text, useStore } from './fixture.ts';
import type { Inbox, OpenStore } from './fixture.ts';

const lease = minute;

export function pushSuite(open: OpenStore): void {
  describe('push jobs', () => {
    const at = useStore(open);
    const receive = (to: readonly Inbox[], now: number, push = true) => {
      const message = text('wake up');
      return at.store.accept({
        now,
        message,
        headerSize: message.length,
        deliveries: to.map(({ account }) => ({ account, push })),
      });
    };
    const pushes = () => at.changes.filter(({ kind }) => kind === 'push').length;
    const claim = (now: number, limit = 100) => at.store.pushJobs.claim(now, limit, lease);
    const only = async (now: number): Promise<PushJob> => {
      const jobs = await claim(now);
      assert.equal(jobs.length, 1);
      return jobs[0]!;
    };
    const withTokens = async (...tokens: string[]) => {
      const mine = await at.account();
      for (const token of tokens) await at.store.tokens.add(mine.account, token, start);
      return mine;
    };
    const nothingLeft = async () => assert.equal(await at.store.pushJobs.nextDue(), undefined);

    test('a delivery makes one for each token, due at once, and tells it after the message', async () => {
      const mine = await withTokens('a1', 'a2');
      const before = pushes();
      await receive([mine], start);
      assert.equal(pushes(), before + 1);
      assert.equal(at.changes.at(-1)?.kind, 'push');
      assert.equal(await at.store.pushJobs.nextDue(), start);
      const jobs = await claim(start);
      assert.deepEqual(jobs.map(({ token, attempts, since }) => [token, attempts, since]).sort(), [
        ['a1', 0, start],
        ['a2', 0, start],
      ]);
      assert.deepEqual(await claim(start), [], 'nobody else gets them');
      for (const job of jobs) await at.store.pushJobs.settle(job, { kind: 'done', againAt: start + 1000 });
      await nothingLeft();
    });

    test('without push, without tokens or with expired ones there is no job and no word of one', async () => {
      const before = pushes();
      const mine = await withTokens('b1');
      await receive([mine], start, false);
      await receive([await at.account()], start);
      await receive([mine], start + TOKEN_LIFE + 1);
      assert.equal(pushes(), before);
      await nothingLeft();
    });

    test('a token that several accounts have gets one job', async () => {
      const both = [await withTokens('c'), await withTokens('c')];
      await receive(both, start);
      const job = await only(start);
      await at.store.pushJobs.settle(job, { kind: 'done', againAt: start });
      await nothingLeft();
    });

    test('a burst is one job at once and one after', async () => {
      const mine = await withTokens('d');
      await receive([mine], start);
      await receive([mine], start + 1);
      const first = await only(start + 2);
      assert.equal(first.since, start + 1);
      for (let n = 3; n < 10; n += 1) await receive([mine], start + n);
      assert.deepEqual(await claim(start + 10), []);
      await at.store.pushJobs.settle(first, { kind: 'done', againAt: start + 1000 });
      assert.equal(await at.store.pushJobs.nextDue(), start + 1000);
      const before = pushes();
      await receive([mine], start + 500);
      assert.equal(pushes(), before, 'none is due now');
      assert.equal(await at.store.pushJobs.nextDue(), start + 1000, 'waiting out the burst');
      assert.deepEqual(await claim(start + 999), []);
      const second = await only(start + 1000);
      assert.deepEqual([second.attempts, second.since], [0, start + 500]);
      await at.store.pushJobs.settle(second, { kind: 'done', againAt: start + 2000 });
      await nothingLeft();
    });

    test('a failed one is due again at its time, with one attempt more each', async () => {
      const mine = await withTokens('e');
      await receive([mine], start);
      let now = start;
      for (const [attempts, wait] of [8_000, 64_000, 512_000].entries()) {
        const job = await only(now);
        assert.deepEqual([job.attempts, job.since], [attempts, start]);
        await at.store.pushJobs.settle(job, { kind: 'retry', at: now + wait, againAt: now });
        assert.equal(await at.store.pushJobs.nextDue(), now + wait);
        assert.deepEqual(await claim(now + wait - 1), []);
        now += wait;
      }
      await at.store.pushJobs.settle(await only(now), { kind: 'give-up', againAt: now });
      await nothingLeft();
      assert.deepEqual(await at.store.tokens.list(mine.account, now), ['e'], 'the token stays');
    });

    test('a new message starts the schedule of a waiting one anew, at once', async () => {
      const mine = await withTokens('f');
      await receive([mine], start);
      await at.store.pushJobs.settle(await only(start), {
        kind: 'retry',
        at: start + minute,
        againAt: start,
      });
      const before = pushes();
      await receive([mine], start + 1000);
      assert.equal(pushes(), before + 1);
      const job = await only(start + 1000);
      assert.deepEqual([job.attempts, job.since], [0, start + 1000]);
      await at.store.pushJobs.settle(job, { kind: 'done', againAt: start });
      await nothingLeft();
    });

    for (const kind of ['done', 'retry', 'give-up'] as const)
      test(`a message that came since the claim outlives "${kind}"`, async () => {
        const mine = await withTokens(`again ${kind}`);
        await receive([mine], start);
        await at.store.pushJobs.settle(await only(start), { kind: 'retry', at: start + 10, againAt: start });
        const claimed = await only(start + 10);
        assert.equal(claimed.attempts, 1);
        await receive([mine], start + 20);
        const outcome = { againAt: start + 1010, at: start + 64_000 };
        await at.store.pushJobs.settle(claimed, { kind, ...outcome });
        assert.equal(await at.store.pushJobs.nextDue(), start + 1010);
        const job = await only(start + 1010);
        assert.deepEqual([job.attempts, job.since], [0, start + 20]);
        await at.store.pushJobs.settle(job, { kind: 'done', againAt: start });
        await nothingLeft();
      });

    test('a claim ends with its lease, and fences off whoever still has it', async () => {
      const mine = await withTokens('g');
      await receive([mine], start);
      const old = await only(start);
      assert.equal(await at.store.pushJobs.nextDue(), start + lease);
      assert.deepEqual(await claim(start + lease - 1), []);
      const current = await only(start + lease);
      assert.notEqual(current.claim, old.claim);
      for (const kind of ['done', 'give-up', 'retry', 'gone'] as const)
        await at.store.pushJobs.settle(old, { kind, againAt: start, at: start });
      assert.deepEqual(await at.store.tokens.list(mine.account, start), ['g']);
      assert.equal(await at.store.pushJobs.nextDue(), start + 2 * lease);
      await at.store.pushJobs.settle(current, { kind: 'done', againAt: start });
      await at.store.pushJobs.settle(current, { kind: 'retry', at: start, againAt: start });
      await nothingLeft();
    });

    test('"gone" removes the token from every account, even where a message came since', async () => {
      const both = [await withTokens('h', 'kept'), await withTokens('h')];
      await receive(both, start);
      const jobs = await claim(start);
      await receive(both, start + 1);
      for (const job of jobs)
        await at.store.pushJobs.settle(
          job,
          job.token === 'h' ? { kind: 'gone' } : { kind: 'done', againAt: start },
        );
      assert.deepEqual(await at.store.tokens.list(both[0]!.account, start), ['kept']);
      assert.deepEqual(await at.store.tokens.list(both[1]!.account, start), []);
      await at.store.pushJobs.settle(await only(start + 1), { kind: 'give-up', againAt: start });
      await nothingLeft();
    });

    test('claims are bounded, and jobs go to those who ask at once without overlap', async () => {
      const mine = await withTokens(...Array.from({ length: 20 }, (_, n) => `many ${n}`));
      await receive([mine], start);
      const claimed = await Promise.all([claim(start, 7), claim(start, 7), claim(start, 7)]);
      assert.deepEqual(claimed.map(({ length }) => length).sort(), [6, 7, 7]);
      const jobs = claimed.flat();
      assert.equal(new Set(jobs.map(({ token }) => token)).size, 20);
      assert.equal(new Set(jobs.map(({ claim }) => claim)).size, 20);
      for (const job of jobs) await at.store.pushJobs.settle(job, { kind: 'done', againAt: start });
      await nothingLeft();
    });

    test('a batch of deliveries tells of jobs at least once, after all its messages', async () => {
      const everyone = await Promise.all(Array.from({ length: 10 }, (_, n) => withTokens(`batch ${n}`)));
      const before = at.changes.length;
      await Promise.all(everyone.map((mine) => receive([mine], start)));
      const told = at.changes.slice(before).map(({ kind }) => kind);
      assert.equal(told.filter((kind) => kind === 'exists').length, 10);
      assert.equal(told.at(-1), 'push');
      for (const job of await claim(start))
        await at.store.pushJobs.settle(job, { kind: 'done', againAt: start });
      await nothingLeft();
    });
  });
}
