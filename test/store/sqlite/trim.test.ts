import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day } from '../../../src/clock.ts';
import { openTestStore } from '../../harness/store.ts';

test('mail that came while the clock was years ahead does not keep an account full', async () => {
  await using opened = await openTestStore({ quota: 10_000 });
  const { store } = opened;
  const { account } = await store.accounts.create('a@x', 'h', 0);
  const deliver = (now: number) =>
    store.accept({
      now,
      message: Buffer.alloc(1000, 'x'),
      headerSize: 0,
      deliveries: [{ account: account.id, push: false }],
    });
  const today = 20_000 * day;
  for (let n = 0; n < 7; n += 1) await deliver(today + 3650 * day);
  for (let n = 0; n < 20; n += 1) await deliver(today + n * day);
  assert.ok((await store.accounts.quota(account.id)).used <= 7500);
});
