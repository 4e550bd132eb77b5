import { day, hour, minute } from '../clock.ts';
import type { Clock } from '../clock.ts';

/** What was found out, or that it could not be, and why. */
export type Finding<Value> =
  { readonly kind: 'known'; readonly value: Value } | { readonly kind: 'failed'; readonly reason: string };

/** Finds out about a key; `ttl` in milliseconds tells for how long it holds. Rejects where it cannot. */
export type FindOut<Value> = (
  key: string,
  signal: AbortSignal,
) => Promise<{ readonly value: Value; readonly ttl: number | undefined }>;

/** What was learned from DNS, beside the mail that it is for. */
export interface Learned<Value> {
  /**
   * What is known. What is not, or is old, is asked for beside and counts from the next time on. What is old counts
   * until there is an answer: nobody waits. Undefined: nothing is known yet.
   */
  look(key: string): Finding<Value> | undefined;
  /** Waits for the answer that is under way, or asks. Never rejects; undefined where too much is asked for at once. */
  ask(key: string): Promise<Finding<Value> | undefined>;
}

/** Whatever DNS says: a zone that changes by the minute must not make a question of every message, nor one be kept for weeks. */
const SHORTEST_LIFE = minute;
const LONGEST_LIFE = day;
/** Where DNS does not say for how long. */
const USUAL_LIFE = hour;
/** Where it could not be found out, it is tried again after this. */
const LOOK_AGAIN = minute;
/** What is old counts for so long, while it is asked for anew (as RFC 8767 lets resolvers do). */
const KEPT = day;
/** Keys remembered, the one learned longest ago goes first; and questions at once. */
export const MAX_KNOWN = 10_000;
export const MAX_ASKED = 32;

interface Entry<Value> {
  readonly finding: Finding<Value>;
  /** When it is to be asked for anew, and when it no longer counts. */
  readonly askAt: number;
  readonly until: number;
}

/** `closing` ends the questions under way. */
export function createLearned<Value>(
  findOut: FindOut<Value>,
  clock: Clock,
  closing: AbortSignal,
): Learned<Value> {
  const known = new Map<string, Entry<Value>>();
  const asked = new Map<string, Promise<Finding<Value>>>();

  const keep = (key: string, entry: Entry<Value>) => {
    known.delete(key);
    known.set(key, entry);
    const [oldest] = known.keys();
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest);
    return entry.finding;
  };

  const found = (key: string, { value, ttl = USUAL_LIFE }: { value: Value; ttl?: number | undefined }) => {
    const askAt = clock.now() + Math.min(Math.max(ttl, SHORTEST_LIFE), LONGEST_LIFE);
    return keep(key, { finding: { kind: 'known', value }, askAt, until: askAt + KEPT });
  };

  const failed = (key: string, error: Error) => {
    const now = clock.now();
    const askAt = now + LOOK_AGAIN;
    const before = known.get(key);
    if (before?.finding.kind === 'known' && now < before.until) return keep(key, { ...before, askAt });
    return keep(key, { finding: { kind: 'failed', reason: error.message }, askAt, until: now + KEPT });
  };

  const ask = (key: string): Promise<Finding<Value>> | undefined => {
    const under = asked.get(key);
    if (under || asked.size >= MAX_ASKED || closing.aborted) return under;
    const answer = findOut(key, closing)
      .then(
        (answered) => found(key, answered),
        (error: Error) => failed(key, error),
      )
      .finally(() => asked.delete(key));
    asked.set(key, answer);
    return answer;
  };

  return {
    look(key) {
      const entry = known.get(key);
      const now = clock.now();
      if (!entry || now >= entry.askAt) void ask(key);
      return entry && now < entry.until ? entry.finding : undefined;
    },
    ask: async (key) => ask(key),
  };
}
