import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../clock.ts';
import { TaskError } from './task.ts';
import type { TaskAnswer, TaskCall, TaskTable } from './task.ts';

export interface PoolOptions {
  /** The module each worker runs: it must call `serveTasks` (see task.ts). */
  readonly module: URL;
  /** Workers at most. Each is started when it is first needed and kept; one takes 50 ms and about 30 MB. */
  readonly size: number;
  /** Tasks that may wait for a worker; one more is refused with `busy`. The inputs are held meanwhile. */
  readonly maxQueued: number;
  /** A task that takes longer ends its worker: nothing else stops a loop in it. */
  readonly taskTimeoutMs: number;
  /** Heap of one worker; message bytes are not in it. A worker that needs more ends, not the process. Default 256. */
  readonly heapMb?: number;
  readonly clock: Clock;
}

/** Threads for whatever would hold the main loop for more than a few milliseconds. */
export interface Pool<Tasks extends TaskTable> extends AsyncDisposable {
  /**
   * Runs a task of the module in a worker, tasks in the order of the calls. Properties of `input` that are Buffers are
   * copied once, when the task starts, and arrive as Buffers; the rest is cloned. Rejects with TaskError alone.
   */
  run<Name extends keyof Tasks & string>(
    task: Name,
    input: Parameters<Tasks[Name]>[0],
  ): Promise<Awaited<ReturnType<Tasks[Name]>>>;
}

interface Job {
  readonly call: TaskCall;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TaskError) => void;
}

interface Running {
  readonly job: Job;
  readonly timer: Timer;
}

/** Starts no worker yet. Disposing of the pool ends the workers and rejects what is under way with `closed`. */
export function createPool<Tasks extends TaskTable>(options: PoolOptions): Pool<Tasks> {
  const { module, size, maxQueued, taskTimeoutMs, heapMb = 256, clock } = options;
  const idle: Worker[] = [];
  const busy = new Map<Worker, Running>();
  const queue: Job[] = [];
  let closed = false;

  function startWorker(): Worker {
    const worker = new Worker(module, { resourceLimits: { maxOldGenerationSizeMb: heapMb } });
    worker.on('message', (answer: TaskAnswer) => {
      const running = finish(worker);
      if (running === undefined) return;
      worker.unref();
      idle.push(worker);
      if (answer.ok) running.job.resolve(answer.value);
      else running.job.reject(new TaskError('failed', `${running.job.call.task}: ${answer.reason}`));
      startNext();
    });
    // 'exit' follows each 'error'; the first to come has the better reason.
    worker.on('error', (error: unknown) => drop(worker, error instanceof Error ? error.message : 'unknown'));
    worker.on('exit', (code) => drop(worker, `exit ${code}`));
    worker.unref();
    return worker;
  }

  /** Takes the worker's task from it; undefined where it has none. */
  function finish(worker: Worker): Running | undefined {
    const running = busy.get(worker);
    busy.delete(worker);
    running?.timer[Symbol.dispose]();
    return running;
  }

  /** A worker that is gone: its task fails, and another worker is started when there is need. */
  function drop(worker: Worker, reason: string): void {
    const at = idle.indexOf(worker);
    if (at >= 0) idle.splice(at, 1);
    const running = finish(worker);
    running?.job.reject(new TaskError('crashed', `${running.job.call.task}: worker ended: ${reason}`));
    if (!closed) startNext();
  }

  function startNext(): void {
    while (queue.length > 0 && (idle.length > 0 || busy.size < size)) {
      const job = queue.shift();
      if (job !== undefined) start(idle.pop() ?? startWorker(), job);
    }
  }

  function start(worker: Worker, job: Job): void {
    const timer = clock.after(taskTimeoutMs, () => {
      finish(worker)?.job.reject(new TaskError('timeout', `${job.call.task}: over ${taskTimeoutMs} ms`));
      void worker.terminate();
      startNext();
    });
    busy.set(worker, { job, timer });
    worker.ref();
    try {
      const { input, bytes } = detach(job.call.input);
      worker.postMessage({ task: job.call.task, input }, bytes);
    } catch (error) {
      // An input that cannot be cloned: the worker has seen nothing of it.
      finish(worker);
      worker.unref();
      idle.push(worker);
      job.reject(new TaskError('failed', `${job.call.task}: ${String(error)}`));
    }
  }

  return {
    run: (task, input) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new TaskError('closed', `${task}: the pool is closed`));
        if (queue.length >= maxQueued && idle.length === 0 && busy.size >= size)
          return reject(new TaskError('busy', `${task}: ${maxQueued} tasks are waiting already`));
        // The answer's type is the task's by the contract of serveTasks: nothing on this side can know it.
        queue.push({ call: { task, input }, resolve: resolve as (value: unknown) => void, reject });
        startNext();
      }),
    async [Symbol.asyncDispose]() {
      closed = true;
      const workers = [...idle.splice(0), ...busy.keys()];
      for (const { call, reject } of queue.splice(0))
        reject(new TaskError('closed', `${call.task}: the pool is closed`));
      for (const worker of [...busy.keys()]) {
        const running = finish(worker);
        running?.job.reject(new TaskError('closed', `${running.job.call.task}: the pool is closed`));
      }
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

/**
 * Copies the Buffers of `input`, so that they can be handed over: clone would copy all of the memory a Buffer is a
 * window of, twice, and a transfer without copy would take it from the caller.
 */
function detach(input: unknown): { input: unknown; bytes: ArrayBuffer[] } {
  if (typeof input !== 'object' || input === null) return { input, bytes: [] };
  const bytes: ArrayBuffer[] = [];
  const entries = Object.entries(input).map(([key, value]: [string, unknown]) => {
    if (!(value instanceof Uint8Array)) return [key, value] as const;
    const copy = new Uint8Array(value);
    bytes.push(copy.buffer);
    return [key, copy] as const;
  });
  return { input: Object.fromEntries(entries), bytes };
}
