import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OverQuota, StoreUnavailable } from '../../../src/store/contract.ts';
import type { AccountId } from '../../../src/store/contract.ts';
import type { Access } from '../../../src/store/sqlite/access.ts';
import { INLINE_LIMIT } from '../../../src/store/sqlite/bodies.ts';
import { createAccept } from '../../../src/store/sqlite/messages.ts';
import { ThreadLost } from '../../../src/store/sqlite/thread.ts';
import type { AcceptResult } from '../../../src/store/sqlite/writes/deliver.ts';

/** Accepts a big message with a writer that answers so; says what became of its file. */
async function acceptBig(
  answer: () => Promise<AcceptResult>,
): Promise<{ outcome: unknown; discarded: string[] }> {
  const discarded: string[] = [];
  const never = () => Promise.reject(new Error('not expected'));
  const access = { write: answer, read: never, local: never } as unknown as Access; // a stub of one method
  const files = {
    write: async () => 'name',
    discard: async (name: string) => void discarded.push(name),
    open: never,
    list: never,
  };
  const accept = createAccept(access, files, (work) => work());
  const outcome = await accept({
    now: 0,
    message: Buffer.alloc(INLINE_LIMIT + 1),
    headerSize: 0,
    deliveries: [{ account: '1' as AccountId, push: false }],
  }).catch((error: unknown) => error);
  return { outcome, discarded };
}

test('the file of a big body stays exactly where a row names it, or may name it', async () => {
  const kept = await acceptBig(async () => ({ outcomes: [{ kind: 'no-account' }], kept: true }));
  assert.deepEqual(kept.discarded, []);
  const unused = await acceptBig(async () => ({ outcomes: [{ kind: 'no-account' }], kept: false }));
  assert.deepEqual(unused.discarded, ['name']);
  const full = await acceptBig(async () => ({ outcomes: [{ kind: 'over-quota' }], kept: false }));
  assert.ok(full.outcome instanceof OverQuota);
  assert.deepEqual(full.discarded, ['name']);
  const refused = await acceptBig(() => Promise.reject(new StoreUnavailable('the disk is full')));
  assert.ok(refused.outcome instanceof StoreUnavailable);
  assert.deepEqual(refused.discarded, ['name'], 'the writer has said that it was rolled back');
  const lost = await acceptBig(() => Promise.reject(new ThreadLost('nobody knows')));
  assert.ok(lost.outcome instanceof StoreUnavailable);
  assert.deepEqual(lost.discarded, [], 'the row may have been committed');
});
