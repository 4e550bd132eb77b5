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

/** As `promise`, but rejects with the reason as soon as `signal` is aborted; what comes of `promise` then is nobody's. */
export function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(reasonOf(signal));
    const end = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    promise.finally(end).then(resolve, reject);
  });
}

/** Why a signal was aborted, as an Error. */
export function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
