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

/** Bytes nobody can guess. relay.ts hands the real source down. */
export type Random = (bytes: number) => Buffer;

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;
