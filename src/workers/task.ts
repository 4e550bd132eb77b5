/**
 * What the pool and its workers agree on. A worker's module is named by whoever makes the pool, since it calls code
 * that lies above this folder:
 *
 *     // src/heavy.ts, the entry of every worker
 *     export const tasks = { verifySignatures, judgeEncryption };
 *     serveTasks(tasks);
 *
 *     // src/relay.ts
 *     createPool<typeof tasks>({ module: new URL('./heavy.ts', import.meta.url), … })
 *
 * with `import type { tasks }` there, so that the main thread does not run it.
 */

/** Named functions of one plain object each. Input and result must survive structuredClone. */
export type TaskTable = Readonly<Record<string, (input: never) => unknown>>;

/** Main thread to worker: one at a time. */
export interface TaskCall {
  readonly task: string;
  readonly input: unknown;
}

/** Worker to main thread: one for each call. */
export type TaskAnswer =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

/**
 * Why a task gave no result: `busy` the queue was full, `timeout` it took too long and its worker was ended, `crashed`
 * its worker ended by itself, `failed` it threw, `closed` the pool was shut. All but `failed` may go well next time.
 */
export type TaskFailure = 'busy' | 'timeout' | 'crashed' | 'failed' | 'closed';

/** The only error that the pool rejects with. */
export class TaskError extends Error {
  override readonly name = 'TaskError';
  readonly reason: TaskFailure;

  constructor(reason: TaskFailure, message: string) {
    super(message);
    this.reason = reason;
  }
}
