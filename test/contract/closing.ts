import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StoreUnavailable } from '../../src/store/contract.ts';
import type { AccountId, Change, MailboxId } from '../../src/store/contract.ts';
import { sized, start, text } from './fixture.ts';
import type { OpenStore } from './fixture.ts';

export function closingSuite(open: OpenStore): void {
  describe('closing', () => {
    test('a closed store says StoreUnavailable to everything, and closing again does no harm', async () => {
      const store = await open({ quota: 1_000_000, onChange: () => {} });
      await store.ping();
      const { account } = await store.accounts.create('a@example.org', 'hash', start);
      const inbox = (await store.mailboxes.find(account.id, 'INBOX'))?.id ?? ('' as MailboxId);
      await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()]);
      await store[Symbol.asyncDispose]();
      const message = text('x');
      const size = { now: start, message, headerSize: message.length };
      const calls: (() => Promise<unknown>)[] = [
        () => store.ping(),
        () => store.accept({ ...size, deliveries: [{ account: account.id, push: false }] }),
        () => store.accounts.find('a@example.org'),
        () => store.accounts.create('b@example.org', 'hash', start),
        () => store.accounts.quota(account.id),
        () => store.mailboxes.list(account.id),
        () => store.mailboxes.status(inbox),
        () => store.messages.snapshot(inbox),
        () => store.messages.body(inbox, 1),
        () => store.messages.expunge(inbox, 'all'),
        () => store.messages.append(inbox, { ...size, flags: [], internalDate: start }),
        () => store.tokens.list(account.id, start),
        () => store.pushJobs.nextDue(),
        () => store.values.get('a'),
      ];
      for (const call of calls) await assert.rejects(call, StoreUnavailable, call.toString());
    });

    test('what was asked before closing is either done and told, or rejected: nothing hangs', async () => {
      const changes: Change[] = [];
      const store = await open({ quota: 100_000_000, onChange: (change) => changes.push(change) });
      const { account } = await store.accounts.create('a@example.org', 'hash', start);
      const to: AccountId = account.id;
      const asked = Array.from({ length: 50 }, (_, n) => {
        const message = n % 5 === 0 ? sized(400_000) : text(`${n}`);
        return store.accept({
          now: start,
          message,
          headerSize: 6,
          deliveries: [{ account: to, push: false }],
        });
      });
      const closed = store[Symbol.asyncDispose]();
      const outcomes = await Promise.allSettled(asked);
      await closed;
      const done = outcomes.filter(({ status }) => status === 'fulfilled').length;
      assert.equal(changes.filter(({ kind }) => kind === 'exists').length, done);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof StoreUnavailable);
    });
  });
}
