/** Bounds of `createHashQueue`. Cost is counted in rounds of PBKDF2-SHA256, about 0.12 µs of one core each. */
export interface HashQueueOptions {
  /** Jobs at once; the number of cores: the libuv threads that hash also serve files and DNS (runtime.md 4). */
  readonly inFlight: number;
  /** Work under way and waiting. */
  readonly maxCost?: number;
}

/**
 * 12 seconds of one core: a thousand clients that come back after a restart (10,000 rounds each) fit ten times, and who
 * waits is answered well before Delta Chat gives up after 60 s (client.md 2.6).
 */
export const MAX_QUEUED_COST = 100_000_000;

/** There is too much work waiting; nothing was begun. */
export class HashQueueFull extends Error {
  override name = 'HashQueueFull';
}

export interface HashQueue {
  /**
   * Runs `job` in its turn. Rejects with HashQueueFull when the work waiting is above `share` (0 to 1) of the bound, or
   * with what the job throws. An idle queue takes any job.
   */
  run<Result>(cost: number, share: number, job: () => Promise<Result>): Promise<Result>;
}

/** First come, first served; bounded by work, not by number, for one hash may cost sixty times another. */
export function createHashQueue({ inFlight, maxCost = MAX_QUEUED_COST }: HashQueueOptions): HashQueue {
  const waiting: (() => void)[] = [];
  let running = 0;
  let queuedCost = 0;

  /** Resolves when there is a place; the place is handed over by whoever leaves. */
  const enter = async () => {
    if (running < inFlight) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const leave = () => {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  };

  return {
    async run(cost, share, job) {
      if (queuedCost > 0 && queuedCost + cost > maxCost * share)
        throw new HashQueueFull('too many logins at once');
      queuedCost += cost;
      try {
        await enter();
        try {
          return await job();
        } finally {
          leave();
        }
      } finally {
        queuedCost -= cost;
      }
    },
  };
}
