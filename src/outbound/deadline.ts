import type { Clock } from '../clock.ts';

/** Time that runs out, on the relay's clock; a signal that is aborted by that, or by the one it is made from. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

export function deadline(clock: Clock, ms: number, what: string, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const timer = clock.after(ms, () => controller.abort(new Error(`${what} took more than ${ms / 1000} s`)));
  const follow = () => controller.abort(parent?.reason);
  parent?.addEventListener('abort', follow);
  if (parent?.aborted) follow();
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      parent?.removeEventListener('abort', follow);
    },
  };
}
