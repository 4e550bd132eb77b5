import { day, minute } from '../clock.ts';

/**
 * How long after each failed try the next one is: soon at first, for greylisting (RFC 6647 4.2) and short faults, then
 * every hour, and every two hours from the fourth on (RFC 5321 4.5.4.1 wants 30 minutes at least, for what is old).
 */
export const RETRY_AFTER: readonly number[] = [1, 2, 5, 15, 30, 60, 60, 60].map(
  (minutes) => minutes * minute,
);
export const LAST_RETRY_AFTER = 120 * minute;
/** Rows that failed together are not all tried again in the same instant. */
export const JITTER = 0.1;

export interface Tries {
  /** Tries that failed before this one. */
  readonly attempts: number;
  /** When the message was accepted. */
  readonly queuedAt: number;
}

/**
 * When a recipient whose try failed at `now` is tried again; undefined where it is given up, `lifetime` milliseconds
 * after the message was accepted: there is a last try at that very time. `chance` is from 0 up to 1.
 */
export function nextTry(
  { attempts, queuedAt }: Tries,
  now: number,
  lifetime: number,
  chance: number,
): number | undefined {
  const end = queuedAt + lifetime;
  if (now >= end) return undefined;
  return Math.min(end, now + Math.round(waitAfter(attempts) * (1 - JITTER + 2 * JITTER * chance)));
}

/** How long the next try is waited for after one that failed, and `attempts` before it. */
export function waitAfter(attempts: number): number {
  return RETRY_AFTER[attempts] ?? LAST_RETRY_AFTER;
}

/** `2 days`, `20 minutes`: for people. */
export function inWords(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / minute));
  if (ms >= 2 * day) return `${Math.round(ms / day)} days`;
  if (minutes >= 120) return `${Math.round(minutes / 60)} hours`;
  return minutes === 1 ? '1 minute' : `${minutes} minutes`;
}
