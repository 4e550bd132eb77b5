import { createHash } from 'node:crypto';

/** What of a Redis client is needed: a script that it runs on its server. */
export interface ScriptRunner {
  eval(script: string, keys: number, ...values: (string | number)[]): Promise<unknown>;
}

/**
 * The generic cell rate algorithm, as limits/rate-limit.ts has it, by the clock of Redis. Of each key one number is
 * kept, when it will be fully rested, and no longer than until then.
 */
const SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local rested = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local following = rested + cost * interval
local wait = following - now - burst * interval
-- What a float may be off by is no reason to refuse.
if wait > 0.5 then
  if cost > burst then wait = rested - now end
  return math.max(1, math.ceil(wait))
end
redis.call('SET', KEYS[1], string.format('%.3f', following), 'PX', math.max(1, math.ceil(following - now)))
return 0
`;

/**
 * A meter for createSharedRateLimit in Redis, under keys that begin with `prefix`. The keys themselves are digests: a
 * list of who sends is nobody's business.
 */
export function createRateMeter(redis: ScriptRunner, prefix: string) {
  return async (
    key: string,
    cost: number,
    rate: { readonly intervalMs: number; readonly burst: number },
  ): Promise<number> => {
    const name = `${prefix}${createHash('sha256').update(key).digest('base64url').slice(0, 22)}`;
    return Number(await redis.eval(SCRIPT, 1, name, rate.intervalMs, rate.burst, cost));
  };
}
