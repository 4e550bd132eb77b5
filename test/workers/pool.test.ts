import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPool } from '../../src/workers/pool.ts';
import type { PoolOptions } from '../../src/workers/pool.ts';
import { TaskError } from '../../src/workers/task.ts';
import type { TaskFailure } from '../../src/workers/task.ts';
import { createTestClock } from '../harness/clock.ts';
import type { tasks } from './sample-tasks.ts';

const module = new URL('./sample-tasks.ts', import.meta.url);

function poolOf(options: Partial<PoolOptions> = {}) {
  return createPool<typeof tasks>({
    module,
    size: 1,
    maxQueued: 10,
    taskTimeoutMs: 1000,
    clock: createTestClock(),
    ...options,
  });
}

async function failsWith(reason: TaskFailure, promise: Promise<unknown>, text = /./) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof TaskError, String(error));
    assert.equal(error.reason, reason);
    assert.match(error.message, text);
    return true;
  });
}

/** A gate that tasks wait at; `arrived(n)` resolves when n of them do. */
function createGate() {
  const gate = new SharedArrayBuffer(8);
  const flag = new Int32Array(gate);
  return {
    gate,
    async arrived(count: number) {
      for (let now = Atomics.load(flag, 1); now < count; now = Atomics.load(flag, 1))
        await Atomics.waitAsync(flag, 1, now).value;
    },
    open() {
      Atomics.store(flag, 0, 1);
      Atomics.notify(flag, 0);
    },
  };
}

test('a task runs in a worker; Buffers arrive as Buffers, just their bytes, and stay with the caller', async () => {
  await using pool = poolOf();
  assert.equal(await pool.run('add', { a: 1, b: 2 }), 3);
  const bytes = Buffer.from('in the middle').subarray(3, 6);
  assert.deepEqual(await pool.run('size', { bytes }), { isBuffer: true, text: 'the', isMainThread: false });
  assert.equal(bytes.toString(), 'the');
});

test('a task that throws, or that there is none of, fails alone: the worker goes on', async () => {
  await using pool = poolOf();
  await failsWith('failed', pool.run('fail', {}), /fail: RangeError: no/);
  await failsWith('failed', pool.run('toString' as 'fail', {}), /no task is called toString/);
  await failsWith('failed', pool.run('size', { bytes: (() => 0) as never }), /could not be cloned/);
  assert.equal(await pool.run('add', { a: 2, b: 2 }), 4);
});

test('a worker that ends takes its task with it, and the next task gets a new worker', async () => {
  await using pool = poolOf({ heapMb: 30 });
  await Promise.all([failsWith('crashed', pool.run('end', {}), /exit 3/), pool.run('add', { a: 1, b: 1 })]);
  await failsWith('crashed', pool.run('fillHeap', {}), /memory/);
  assert.equal(await pool.run('add', { a: 2, b: 3 }), 5);
});

test('a module that cannot be loaded fails each task and hangs none', async () => {
  await using pool = poolOf({ module: new URL('./nothing-here.ts', import.meta.url) });
  await failsWith('crashed', pool.run('add', { a: 1, b: 1 }), /nothing-here/);
  await failsWith('crashed', pool.run('add', { a: 1, b: 1 }), /nothing-here/);
});

test('a task that takes too long ends with its worker, and those behind it go on', async () => {
  const clock = createTestClock();
  await using pool = poolOf({ clock });
  const hanging = pool.run('hang', {});
  const behind = pool.run('add', { a: 3, b: 3 });
  clock.advance(1000);
  await failsWith('timeout', hanging, /over 1000 ms/);
  assert.equal(await behind, 6);
  assert.equal(clock.waiting, 0, 'no timer is left');
});

test('at most `size` tasks run and `maxQueued` wait; the next one is told that the pool is busy', async () => {
  await using pool = poolOf({ size: 2, maxQueued: 1 });
  const { gate, ...turnstile } = createGate();
  const running = [pool.run('wait', { gate }), pool.run('wait', { gate })];
  await turnstile.arrived(2);
  const waiting = pool.run('add', { a: 1, b: 0 });
  await failsWith('busy', pool.run('add', { a: 1, b: 1 }));
  turnstile.open();
  assert.deepEqual(await Promise.all([...running, waiting]), ['waited', 'waited', 1]);
  assert.equal(await pool.run('add', { a: 1, b: 2 }), 3, 'there is room again');
});

test('closing the pool rejects what runs and what waits, ends the workers, and takes nothing more', async () => {
  const clock = createTestClock();
  const pool = poolOf({ clock });
  const running = failsWith('closed', pool.run('hang', {}));
  const waiting = failsWith('closed', pool.run('add', { a: 1, b: 1 }));
  await pool[Symbol.asyncDispose]();
  await Promise.all([running, waiting, failsWith('closed', pool.run('add', { a: 1, b: 1 }))]);
  assert.equal(clock.waiting, 0);
});
