import { minute } from '../clock.ts';
import type { Clock } from '../clock.ts';

export interface RateLimitOptions {
  /** How many a minute in the long run; may be a fraction (60 an hour is 1). */
  readonly perMinute: number;
  /** How many at once after a rest. */
  readonly burst: number;
  /** Keys remembered; beyond it the one that took longest ago is forgotten, which at worst gives it a new burst. */
  readonly maxKeys: number;
  readonly clock: Clock;
}

/**
 * `until` is when the same would be granted, in milliseconds since 1970; a cost above the burst is never granted, `until`
 * is then when the key is fully rested.
 */
export type Taken = { readonly ok: true } | { readonly ok: false; readonly until: number };

export interface RateLimit {
  /** Takes `cost` (1 unless given) for `key`, whole or not at all. Never rejects. */
  take(key: string, cost?: number): Taken | Promise<Taken>;
}

/** Of this process alone: it answers at once. */
export interface LocalRateLimit extends RateLimit {
  take(key: string, cost?: number): Taken;
}

/**
 * GCRA, the leaky bucket as a meter (ITU-T I.371), as upstream (relay.md 3 outgoing 1): with 60 a minute and burst 10,
 * ten at once and then one a second. Of each key one number is kept: when it will be fully rested.
 */
export function createRateLimit({ perMinute, burst, maxKeys, clock }: RateLimitOptions): LocalRateLimit {
  /** Milliseconds between two at the long-run rate. */
  const interval = minute / perMinute;
  const tolerance = burst * interval;
  /** In the order of the last grant, so that the first key is the one to forget. */
  const restedAt = new Map<string, number>();

  function forget(now: number): void {
    for (const [key, rested] of restedAt) {
      if (rested > now && restedAt.size < maxKeys) return;
      restedAt.delete(key);
    }
  }

  return {
    take(key, cost = 1) {
      const now = clock.now();
      const rested = Math.max(restedAt.get(key) ?? now, now);
      const next = rested + cost * interval;
      if (next - now > tolerance) {
        return { ok: false, until: cost > burst ? rested : next - tolerance };
      }
      restedAt.delete(key);
      forget(now);
      restedAt.set(key, next);
      return { ok: true };
    },
  };
}
