import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccountId } from '../../../src/store/contract.ts';
import { MAX_EXPUNGED_AT_ONCE } from '../../../src/store/sqlite/writes/expunge.ts';
import { openTestStore } from '../../harness/store.ts';

const many = 3 * MAX_EXPUNGED_AT_ONCE;
const message = { now: 0, message: Buffer.from('A: b\r\n\r\nhello'), headerSize: 8 };

for (const which of ['all', 'some'] as const)
  test(`an EXPUNGE of many (${which}) goes slice by slice and lets deliveries in between`, async () => {
    await using opened = await openTestStore();
    const { store, changes } = opened;
    const { account } = await store.accounts.create('a@x', 'h', 0);
    const deliver = (to: AccountId) =>
      store.accept({ ...message, deliveries: [{ account: to, push: false }] });
    await Promise.all(Array.from({ length: many }, () => deliver(account.id)));
    const inbox = (await store.mailboxes.find(account.id, 'INBOX'))?.id;
    assert.ok(inbox);
    const uids = Array.from({ length: many }, (_, at) => at + 1);
    await store.messages.storeFlags(inbox, uids, { action: 'add', flags: ['\\Deleted'] });

    const order: string[] = [];
    const expunge = store.messages
      .expunge(inbox, which === 'all' ? 'all' : uids.toReversed())
      .finally(() => order.push('expunge'));
    const delivery = deliver(account.id).finally(() => order.push('delivery'));
    assert.deepEqual(await expunge, uids);
    await delivery;
    assert.deepEqual(order, ['delivery', 'expunge']);

    const told = changes.flatMap((change) => (change.kind === 'expunge' ? [change.uids] : []));
    assert.deepEqual(
      told.flat().sort((a, b) => a - b),
      uids,
    );
    assert.ok(told.every((each) => each.length <= MAX_EXPUNGED_AT_ONCE));
    assert.deepEqual((await store.messages.snapshot(inbox))?.uids, [many + 1]);
    assert.equal((await store.accounts.quota(account.id)).used, message.message.length);
  });
