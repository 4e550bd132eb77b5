import { createHmac, timingSafeEqual } from 'node:crypto';
import { hour } from '../clock.ts';
import type { Clock, Random } from '../clock.ts';
import type { Account, AccountId } from '../store/contract.ts';

/** Logins that were right a short while ago, so that the next one costs 10 µs instead of a slow hash (runtime.md 4). */
export interface VerifiedLogins {
  /** Whether this password was right for this account with this very hash. `false` only means: look. */
  has(account: Account, password: string): boolean;
  add(account: Account, password: string): void;
}

/** About 200 bytes each, 10 MB in all; more accounts than that do not log in within an hour on one machine. */
const MAX_VERIFIED = 50_000;
/** How long a thief of the memory's content could use an entry; devices that stay connected log in less often. */
const VERIFIED_LIFE = hour;

/**
 * Keeps a keyed digest under a key of this process, never a password. The stored hash is part of what is digested: a
 * password that is changed, by whatever process, ends its entry by itself, and a removed account is not found at all.
 * Right logins alone are kept; a wrong password always takes the slow way.
 */
export function createVerifiedLogins(
  clock: Clock,
  random: Random,
  { max = MAX_VERIFIED }: { readonly max?: number } = {},
): VerifiedLogins {
  const key = random(32);
  /** In order of last use: a Map keeps the order of insertion. */
  const entries = new Map<AccountId, { readonly digest: Buffer; readonly until: number }>();

  const digestOf = (account: Account, password: string) =>
    createHmac('sha256', key).update(`${account.id}\0${account.passwordHash}\0${password}`).digest();

  return {
    has(account, password) {
      const entry = entries.get(account.id);
      if (entry === undefined) return false;
      if (entry.until <= clock.now()) {
        entries.delete(account.id);
        return false;
      }
      if (!timingSafeEqual(entry.digest, digestOf(account, password))) return false;
      entries.delete(account.id);
      entries.set(account.id, entry);
      return true;
    },
    add(account, password) {
      entries.delete(account.id);
      const [oldest] = entries.keys();
      if (entries.size >= max && oldest !== undefined) entries.delete(oldest);
      entries.set(account.id, { digest: digestOf(account, password), until: clock.now() + VERIFIED_LIFE });
    },
  };
}
