/** Time as the parts of Teal see it. relay.ts hands the real one down; tests hand down one they turn by hand. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Calls `task` once after `ms` milliseconds, unless the timer is disposed of first. Never keeps the process alive. */
  after(ms: number, task: () => void): Timer;
}

/** A wait that can be called off; disposing of it twice is harmless. */
export interface Timer extends Disposable {
  [Symbol.dispose](): void;
}

/** Resolves after `ms`, or as soon as `signal` is aborted: who waits looks at it. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = () => {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', over);
      resolve();
    };
    const timer = clock.after(ms, over);
    signal.addEventListener('abort', over);
  });
}

/** Bytes nobody can guess. relay.ts hands the real source down. */
export type Random = (bytes: number) => Buffer;

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;
