import type { Account } from './contract.ts';

/**
 * What the operator gives out so that people may have accounts: each use makes one. No store has the token itself, only
 * what it is found by.
 */
export interface SignUpToken {
  /** Names it to people; gives no right. */
  readonly id: string;
  /** SHA-256 of the token. */
  readonly hash: string;
  /** For people; at most `MAX_SIGN_UP_NOTE` characters. */
  readonly note: string;
  readonly createdAt: number;
  /** From then on it makes no account; undefined: it does not expire. */
  readonly expiresAt: number | undefined;
  /** Accounts that it may make in all; undefined: as many as come. */
  readonly uses: number | undefined;
  /** Accounts that it has made, with those that are being made just now. */
  readonly used: number;
}

export interface SignUpTokens {
  /** Keeps it as it is given; `exists` where another has its id or its hash. */
  add(token: SignUpToken): Promise<'added' | 'exists' | 'too-many'>;
  find(hash: string): Promise<SignUpToken | undefined>;
  /** All there are, the oldest first. */
  list(): Promise<readonly SignUpToken[]>;
  /** False where there is none. An account that is being made just now may still come to be. */
  remove(id: string): Promise<boolean>;
  /**
   * Makes the account and its INBOX, and spends one use of the token for it: both or neither, through a crash at any
   * instant; where that comes in between, the use may be missing for some minutes, but there is never an account
   * without one. Of those that come at once for the last use, from whatever process, exactly one gets its account. When
   * it rejects, nobody knows whether both are done or neither.
   */
  signUp(request: SignUpRequest): Promise<SignUpOutcome>;
}

export interface SignUpRequest {
  readonly hash: string;
  readonly address: string;
  readonly passwordHash: string;
  readonly now: number;
}

/** `taken`: the address is somebody's already, and no use was spent. */
export type SignUpOutcome =
  | { readonly kind: 'made'; readonly account: Account }
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly why: TokenRefusal };

/** Why a token makes no account. */
export type TokenRefusal = 'unknown' | 'expired' | 'used-up';

/** Tokens in a store, about: what an operator gives out one by one, and a bound on `list`. */
export const MAX_SIGN_UP_TOKENS = 10_000;
export const MAX_SIGN_UP_NOTE = 200;

/** Why what was found for a token makes no account at `now`; undefined where it does. */
export function tokenRefusal(token: SignUpToken | undefined, now: number): TokenRefusal | undefined {
  if (!token) return 'unknown';
  if (token.expiresAt !== undefined && token.expiresAt <= now) return 'expired';
  if (token.uses !== undefined && token.used >= token.uses) return 'used-up';
  return undefined;
}
