import { parentPort } from 'node:worker_threads';
import type { TaskAnswer, TaskCall, TaskTable } from './task.ts';

/**
 * Makes this thread a worker of a pool that answers for `tasks`. Does nothing on the main thread, so that a test may
 * import the module too. A task that throws answers with its error's message; the worker goes on.
 */
export function serveTasks(tasks: TaskTable): void {
  const port = parentPort;
  port?.on('message', (call: TaskCall) => {
    void answer(tasks, call).then((result) => port.postMessage(result));
  });
}

async function answer(tasks: TaskTable, { task, input }: TaskCall): Promise<TaskAnswer> {
  try {
    const run = Object.hasOwn(tasks, task) ? tasks[task] : undefined;
    if (run === undefined) return { ok: false, reason: `no task is called ${task}` };
    // The pool's type has checked name and input against each other; across the thread boundary types end.
    return { ok: true, value: await run(withBuffers(input) as never) };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

/** A Buffer arrives as the Uint8Array below it: gives back the Buffer, without a copy. */
function withBuffers(input: unknown): unknown {
  if (typeof input !== 'object' || input === null) return input;
  return Object.fromEntries(
    Object.entries(input).map(([key, value]: [string, unknown]) => [
      key,
      value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value,
    ]),
  );
}
