import { minute, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { DnsMissing } from '../dns/resolver.ts';
import type { Resolver } from '../dns/resolver.ts';
import { chooseKey } from './key-record.ts';
import type { KeyRecord } from './key-record.ts';

export type KeyAnswer =
  | { readonly kind: 'key'; readonly key: KeyRecord; readonly kept: boolean }
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'trouble'; readonly reason: string };

export interface KeyFinder {
  /** The key at `name`, asked of DNS unless it was found within the last KEEP_MS. Never rejects. */
  find(name: string): Promise<KeyAnswer>;
  /** The next `find` asks DNS: the kept key did not fit, so the domain may have a new one under the old name. */
  forget(name: string): void;
}

/** Milliseconds a key is used without asking again. Names that had none are always asked again. */
export const KEEP_MS = 5 * minute;

/** Keys kept, the oldest dropped first: with MAX_RECORD_LENGTH 4 MB at worst, below 1 MB in fact. */
const MAX_KEPT = 1000;

/** Longest wait for DNS, whatever the resolver's own bounds are: a peer's SMTP client waits ten minutes after DATA. */
const DEADLINE_MS = 30 * second;

/** Finds DKIM keys by `resolver`. */
export function createKeyFinder({ resolver, clock }: { resolver: Resolver; clock: Clock }): KeyFinder {
  const kept = new Map<string, { readonly key: KeyRecord; readonly until: number }>();

  async function ask(name: string): Promise<KeyAnswer> {
    try {
      const key = chooseKey(await inTime(resolver.txt(name), clock));
      if ('problem' in key) return { kind: 'none', reason: key.problem };
      kept.delete(name);
      kept.set(name, { key, until: clock.now() + KEEP_MS });
      const [oldest] = kept.keys();
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest);
      return { kind: 'key', key, kept: false };
    } catch (error) {
      if (error instanceof DnsMissing) return { kind: 'none', reason: 'no key' };
      return { kind: 'trouble', reason: 'key could not be fetched' };
    }
  }

  return {
    async find(name) {
      const found = kept.get(name);
      if (found !== undefined && clock.now() < found.until)
        return { kind: 'key', key: found.key, kept: true };
      return ask(name);
    },
    forget: (name) => void kept.delete(name),
  };
}

/** `promise`, or a rejection after DEADLINE_MS. */
async function inTime<T>(promise: Promise<T>, clock: Clock): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  using _timer = clock.after(DEADLINE_MS, () => reject(new Error('no answer in time')));
  return await Promise.race([promise, deadline]);
}
