import { minute } from '../clock.ts';
import type { Clock } from '../clock.ts';

/** relay.md 3: for so long a host without /mxdeliv is not asked again. */
const ABSENT_TIME = 30 * minute;
/** Hosts remembered; the one longest known goes first. */
export const MAX_HOSTS = 10_000;

/** The hosts that have no /mxdeliv. */
export interface KnownAbsent {
  has(host: string): boolean;
  add(host: string): void;
  /** Forgets it: it is to be asked again. */
  remove(host: string): void;
}

export function createKnownAbsent(clock: Clock): KnownAbsent {
  const until = new Map<string, number>();
  return {
    has(host) {
      const end = until.get(host);
      if (end === undefined) return false;
      if (clock.now() < end) return true;
      until.delete(host);
      return false;
    },
    remove: (host) => void until.delete(host),
    add(host) {
      until.delete(host);
      until.set(host, clock.now() + ABSENT_TIME);
      if (until.size <= MAX_HOSTS) return;
      const [oldest] = until.keys();
      if (oldest !== undefined) until.delete(oldest);
    },
  };
}
