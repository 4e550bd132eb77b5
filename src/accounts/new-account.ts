import type { Events } from '../observe/events.ts';
import { StoreUnavailable, tokenRefusal } from '../store/contract.ts';
import type { Store, TokenRefusal } from '../store/contract.ts';
import type { Clock } from '../clock.ts';
import { HashQueueFull, createHashQueue } from './hash-queue.ts';
import { drawOffer } from './offer.ts';
import type { OfferParts } from './offer.ts';
import { hashPassword, wantedRounds } from './passwords.ts';
import type { CreationStop, Registration } from './registration.ts';
import { hashOfSignUpToken } from './sign-up-token.ts';

/**
 * Why there is no account; `reason` is shown to a person as it stands (client.md 1.1). `token`: none was given, or not a
 * good one.
 */
export interface NoAccount {
  readonly kind: CreationStop['kind'];
  readonly reason: string;
}

/** What `/new` hands out. */
export type NewAccount =
  { readonly kind: 'made'; readonly address: string; readonly password: string } | NoAccount;

export interface NewAccountRequest {
  /** Counts only where one is asked for. */
  readonly token?: string | undefined;
  /** The network address it comes from; without one no rate counts it. */
  readonly peer?: string | undefined;
}

/** New accounts as the web sees them. */
export interface NewAccounts {
  /** Never rejects. */
  make(request?: NewAccountRequest): Promise<NewAccount>;
  /** Why nobody gets one now, or none without a token; undefined where one may be had. */
  refusal(): NoAccount | undefined;
  /** What `make` would refuse this token for; spends nothing. Never rejects. */
  refusalOf(token: string): Promise<NoAccount | undefined>;
}

export interface NewAccountParts extends Omit<OfferParts, 'store'>, Omit<Registration, 'mayCreate'> {
  readonly store: Pick<Store, 'accounts' | 'signUpTokens'>;
  readonly clock: Clock;
  readonly events: Pick<Events, 'fault' | 'storeUnavailable' | 'signUpRefused' | 'accountCreated'>;
}

const refusals: Readonly<Record<CreationStop['kind'], NoAccount>> = {
  closed: { kind: 'closed', reason: 'This relay does not take new accounts.' },
  token: {
    kind: 'token',
    reason: 'For an account here you need an invitation: a link or a code from whoever runs this relay.',
  },
  busy: {
    kind: 'busy',
    reason: 'This relay cannot make new accounts right now. Please try again in a few minutes.',
  },
};

/** Only who has a token that is, or was, a good one hears more than that it is not known. */
const tokenRefusals: Readonly<Record<TokenRefusal, string>> = {
  unknown: 'This relay does not know your invitation. Is the link whole? If it is, please ask for a new one.',
  expired: 'Your invitation has expired. Please ask for a new one.',
  'used-up': 'Your invitation has been used up. Please ask for a new one.',
};

/** Passwords that wait to be hashed, a millisecond each; they are drawn long, so all cost the same. */
const MAX_HASHES_WAITING = 500;
const HASH_COST = wantedRounds('x'.repeat(22));
/** Addresses drawn before giving up, where others get the one that was free a moment ago. */
const MAX_DRAWS = 3;

/**
 * For `POST /new`: a name and a password. Where anybody may come, the account is made at its first login; where a token
 * is asked for, here, and a use of the token is spent for it.
 */
export function createNewAccounts(parts: NewAccountParts): NewAccounts {
  const { mayOffer, maySignUp, store, clock, random, events } = parts;
  const hashes = createHashQueue({ inFlight: 1, maxCost: MAX_HASHES_WAITING * HASH_COST });

  const refuse = ({ kind, reason }: CreationStop): NoAccount => {
    events.signUpRefused(reason);
    return refusals[kind];
  };
  const refuseToken = (why: TokenRefusal): NoAccount => {
    events.signUpRefused(`the token is ${why}`);
    return { kind: 'token', reason: tokenRefusals[why] };
  };
  const failed = (error: unknown): NoAccount => {
    if (error instanceof HashQueueFull) events.signUpRefused('too many sign-ups at once');
    else if (error instanceof StoreUnavailable) events.storeUnavailable(error);
    else events.fault('new account', error);
    return refusals.busy;
  };

  /** The hash that the store knows the token by, or why it makes no account. */
  const check = async (token: string): Promise<{ hash: string } | { why: TokenRefusal }> => {
    const hash = hashOfSignUpToken(token);
    if (hash === undefined) return { why: 'unknown' };
    const why = tokenRefusal(await store.signUpTokens.find(hash), clock.now());
    return why === undefined ? { hash } : { why };
  };

  const signUp = async ({ token, peer }: NewAccountRequest): Promise<NewAccount> => {
    if (token === undefined) return refuse({ kind: 'token', reason: 'no token' });
    const good = await check(token);
    if ('why' in good) return refuseToken(good.why);
    const stop = maySignUp(peer);
    if (stop) return refuse(stop);
    for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
      const offer = await drawOffer(parts);
      if (offer === undefined) break;
      const { address, password } = offer;
      const passwordHash = await hashes.run(wantedRounds(password), 1, () => hashPassword(password, random));
      const { hash } = good;
      const outcome = await store.signUpTokens.signUp({ hash, address, passwordHash, now: clock.now() });
      if (outcome.kind === 'refused') return refuseToken(outcome.why);
      if (outcome.kind === 'taken') continue;
      events.accountCreated(address);
      return { kind: 'made', ...offer };
    }
    return refuse({ kind: 'busy', reason: 'no name is free' });
  };

  const make = async (request: NewAccountRequest): Promise<NewAccount> => {
    const stop = mayOffer();
    if (stop?.kind === 'token') return signUp(request);
    if (stop) return refusals[stop.kind];
    const offer = await drawOffer(parts);
    return offer === undefined ? refusals.busy : { kind: 'made', ...offer };
  };

  return {
    make: (request = {}) => make(request).catch(failed),
    refusal: () => {
      const stop = mayOffer();
      return stop && refusals[stop.kind];
    },
    refusalOf: async (token) => {
      const stop = mayOffer();
      if (stop?.kind !== 'token') return stop && refusals[stop.kind];
      try {
        const good = await check(token);
        if ('why' in good) return { kind: 'token', reason: tokenRefusals[good.why] };
        const braked = maySignUp(undefined);
        return braked && refusals[braked.kind];
      } catch (error) {
        return failed(error);
      }
    },
  };
}
