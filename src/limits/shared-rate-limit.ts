import { minute } from '../clock.ts';
import { createRateLimit } from './rate-limit.ts';
import type { RateLimit, RateLimitOptions, Taken } from './rate-limit.ts';

/**
 * A count that all processes share. Takes `cost` for `key` by the rule of createRateLimit; answers 0 where it is granted,
 * else in how many milliseconds the same would be. Rejects where the count cannot be had.
 */
export type Meter = (
  key: string,
  cost: number,
  rate: { readonly intervalMs: number; readonly burst: number },
) => Promise<number>;

export interface SharedRateLimitOptions extends RateLimitOptions {
  /** What is limited: the same key under another name is counted apart. */
  readonly name: string;
  readonly meter: Meter;
  /** How long the meter may take, in ms; 500 unless given: a client waits for its answer. */
  readonly timeoutMs?: number;
}

const TIMEOUT = 500;

/**
 * One limit for all processes. While the meter does not answer, each process goes by what it has granted itself: at
 * worst an account then gets its rate once from each of them.
 */
export function createSharedRateLimit(options: SharedRateLimitOptions): RateLimit {
  const { name, meter, perMinute, burst, clock, timeoutMs = TIMEOUT } = options;
  const local = createRateLimit(options);
  const rate = { intervalMs: minute / perMinute, burst };

  return {
    async take(key, cost = 1): Promise<Taken> {
      const late = Promise.withResolvers<undefined>();
      using _timer = clock.after(timeoutMs, () => late.resolve(undefined));
      const metered = meter(`${name}:${key}`, cost, rate).catch(() => undefined);
      const wait = await Promise.race([metered, late.promise]);
      if (wait === undefined) return local.take(key, cost);
      if (wait > 0) return { ok: false, until: clock.now() + Math.ceil(wait) };
      // Counted here too, so that nobody gets a new burst when the meter goes away.
      local.take(key, cost);
      return { ok: true };
    },
  };
}
