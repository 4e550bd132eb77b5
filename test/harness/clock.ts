import type { Clock, Timer } from '../../src/clock.ts';

export interface TestClock extends Clock {
  /** Lets `ms` pass: every task that falls due runs in the order of its time, at its time, those it starts as well. */
  advance(ms: number): void;
  /** Timers that are set and have not run. */
  readonly waiting: number;
  /** When the next timer is due, undefined where none is set. */
  readonly nextDue: number | undefined;
  /** Resolves as soon as at least `count` timers wait: for code that sets its timer after some promise. */
  timersSet(count?: number): Promise<void>;
}

/** A clock that stands still until a test turns it. Starts at noon of 2 January 2026 unless told. */
export function createTestClock(start = Date.UTC(2026, 0, 2, 12)): TestClock {
  let now = start;
  const timers = new Set<{ readonly due: number; readonly task: () => void }>();
  const watchers = new Set<{ readonly count: number; readonly resolve: () => void }>();

  /** Of equal times the timer set first: a Set keeps its order of insertion. */
  const earliest = () =>
    [...timers].reduce<{ due: number; task: () => void } | undefined>(
      (first, timer) => (first === undefined || timer.due < first.due ? timer : first),
      undefined,
    );

  return {
    now: () => now,
    after(ms, task): Timer {
      const timer = { due: now + Math.max(0, ms), task };
      timers.add(timer);
      for (const watcher of watchers) {
        if (timers.size < watcher.count) continue;
        watchers.delete(watcher);
        watcher.resolve();
      }
      return { [Symbol.dispose]: () => void timers.delete(timer) };
    },
    advance(ms) {
      const end = now + ms;
      for (let timer = earliest(); timer !== undefined && timer.due <= end; timer = earliest()) {
        timers.delete(timer);
        now = timer.due;
        timer.task();
      }
      now = end;
    },
    get waiting() {
      return timers.size;
    },
    get nextDue() {
      return earliest()?.due;
    },
    timersSet(count = 1) {
      if (timers.size >= count) return Promise.resolve();
      return new Promise((resolve) => watchers.add({ count, resolve }));
    },
  };
}

/** A clock that keeps the machine's pace, until it is disposed of, and can be turned on: for peers with a clock of their own. */
export function createWalkingClock(): TestClock & Disposable {
  const clock = createTestClock(Date.now());
  let last = performance.now();
  const walking = setInterval(() => {
    const now = performance.now();
    clock.advance(now - last);
    last = now;
  }, 20);
  return Object.assign(Object.create(clock) as TestClock, { [Symbol.dispose]: () => clearInterval(walking) });
}
