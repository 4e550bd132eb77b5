import { isMainThread } from 'node:worker_threads';
import { serveTasks } from '../../src/workers/serve-tasks.ts';

/** Tasks for pool.test.ts. */
export const tasks = {
  add: ({ a, b }: { a: number; b: number }) => a + b,
  size: ({ bytes }: { bytes: Buffer }) => ({
    isBuffer: Buffer.isBuffer(bytes),
    text: bytes.toString(),
    isMainThread,
  }),
  fail: (_: object) => {
    throw new RangeError('no');
  },
  end: (_: object) => process.exit(3),
  hang: (_: object) => {
    for (;;);
  },
  /** Waits until its gate is opened from outside. */
  wait: ({ gate }: { gate: SharedArrayBuffer }) => {
    const flag = new Int32Array(gate);
    Atomics.add(flag, 1, 1);
    Atomics.notify(flag, 1);
    Atomics.wait(flag, 0, 0);
    return 'waited';
  },
  fillHeap: (_: object) => {
    const kept: number[][] = [];
    for (;;) kept.push(new Array<number>(10_000).fill(kept.length));
  },
};

serveTasks(tasks);
