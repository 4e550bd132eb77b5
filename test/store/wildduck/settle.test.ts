import assert from 'node:assert/strict';
import { test } from 'node:test';
import { without } from '../../harness/peers.ts';

test(
  'of what is settled together that which was brought away is written first: a crash between makes nothing go twice',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    const { createQueue } = await import('../../../src/store/wildduck/queue.ts');
    const written: string[] = [];
    const record =
      <Result>(what: string, result: Result) =>
      async () => {
        written.push(what);
        return result;
      };
    const queue = createQueue({
      collections: {
        plans: {},
        queue: { deleteMany: record('done', { deletedCount: 1 }), bulkWrite: record('retry', {}) },
      },
      clock: {},
      databaseClock: { toDatabase: (time: number) => time, fromDatabase: (time: number) => time },
      files: {},
      destinations: { due: record('due', undefined) },
      rows: { ended: record('ended', undefined) },
      nextFence: () => Promise.resolve(1),
    } as unknown as Parameters<typeof createQueue>[0]);
    const id = (n: number) => String(n).padStart(24, '0');
    const row = (n: number) => ({ id: id(n), recipient: `${n}@b.test`, attempts: 0 });
    const batch = { message: id(1), destination: 'b.test', rows: [row(2), row(3)], fence: 7 };
    await queue.settle(batch as unknown as Parameters<typeof queue.settle>[0], [
      { kind: 'retry', at: 1, reason: 'later' },
      { kind: 'done' },
    ]);
    assert.deepEqual(written, ['done', 'ended', 'retry', 'due']);
  },
);
