import { X509Certificate } from 'node:crypto';
import { day, hour, minute } from '../clock.ts';
import type { Failure, KeptCertificate } from './acme-state.ts';
import { AcmeProblem, AcmeUnreachable } from './acme-http.ts';

/** The names that a certificate can have beside the mail domain, as DNS has them now. */
export interface OtherNames {
  /** These lead to this machine. */
  readonly here: readonly string[];
  /** DNS did not answer for these. */
  readonly unsure: readonly string[];
}

export interface Due {
  /** The mail domain first. */
  readonly names: readonly string[];
  readonly why: 'first' | 'renewal' | 'authority' | 'names';
}

/** A certificate that is due for renewal as soon as it comes (a clock is wrong) must not be ordered again and again. */
const MIN_INTERVAL = 6 * hour;

/** Which certificate to order now, if any. Pure. */
export function whatIsDue(
  kept: KeptCertificate | undefined,
  {
    domain,
    others,
    directory,
    now,
  }: {
    readonly domain: string;
    readonly others: OtherNames;
    readonly directory: string;
    readonly now: number;
  },
): Due | undefined {
  const known = others.unsure.filter((name) => kept?.names.includes(name));
  const names = [
    domain,
    ...[...others.here, ...known].filter((name) => (kept?.refusedUntil[name] ?? 0) <= now).sort(),
  ];
  if (kept === undefined) return { names, why: 'first' };
  if (kept.directory !== directory) return { names, why: 'authority' };
  if (isForRenewal(kept, now)) return { names, why: 'renewal' };
  return names.every((name) => kept.names.includes(name)) ? undefined : { names, why: 'names' };
}

/** A third of the life is left (Let's Encrypt: 30 of 90 days, 2 of 6). */
function isForRenewal({ cert, issuedAt }: KeptCertificate, now: number): boolean {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const third = (validToDate.getTime() - validFromDate.getTime()) / 3;
  // Either way off: the clock may have been put back.
  const justIssued = Math.abs(now - issuedAt) < Math.min(MIN_INTERVAL, third);
  return validToDate.getTime() - now <= third && !justIssued;
}

/** Names that were refused are left alone for so long. */
export const REFUSED_FOR = day;

/**
 * An authority that cannot be reached is soon back. One that refuses will until somebody has mended something, and
 * counts: Let's Encrypt allows five failed authorizations of a name in an hour, and a try may be two.
 */
const BACK_OFF = {
  unreachable: { first: minute, most: hour },
  refused: { first: 20 * minute, most: 12 * hour },
} as const;
/** Whoever has mended something starts the relay anew and does not want to wait. */
const START_AGAIN = minute;

/** The failure that `error` makes of the one before. Pure. */
export function failureAfter(before: Failure | undefined, error: unknown, now: number): Failure {
  const attempts = (before?.attempts ?? 0) + 1;
  const away = error instanceof AcmeUnreachable || (error instanceof AcmeProblem && error.status >= 500);
  const { first, most } = BACK_OFF[away ? 'unreachable' : 'refused'];
  const wait = Math.min(first * 2 ** Math.min(attempts - 1, 20), most);
  const asked = error instanceof AcmeProblem ? (error.retryAfter ?? 0) : 0;
  return {
    attempts,
    since: before?.since ?? now,
    last: now,
    next: now + Math.max(wait, asked),
    notBefore: asked > 0 ? now + asked : 0,
  };
}

/** When a try may be made; `justStarted`: the first of this process. Pure. */
export function mayTryAt(failure: Failure | undefined, justStarted: boolean): number {
  if (failure === undefined) return 0;
  if (!justStarted) return failure.next;
  return Math.max(Math.min(failure.next, failure.last + START_AGAIN), failure.notBefore);
}
