import type { Random } from '../clock.ts';
import type { Store } from '../store/contract.ts';
import { isReservedName } from './names.ts';
import type { CreationRules } from './names.ts';
import { NAME_LETTERS, SECRET_LETTERS, randomText } from './random-text.ts';

/** Name and password for somebody who is not here yet (POST /new). */
export interface Offer {
  readonly address: string;
  readonly password: string;
}

export interface OfferParts {
  readonly store: Pick<Store, 'accounts'>;
  readonly random: Random;
  /** What stands behind the @. */
  readonly domain: string;
  readonly rules: CreationRules;
}

/** 130 bits, as Delta Chat draws (client.md 1.1): the relay can keep a cheap hash of it. */
const PASSWORD_LENGTH = 22;
/** Delta Chat marks the accounts that it makes by itself with this length (relay.md 2, Invite/QR forms). */
export const AUTOMATIC_PASSWORD_LENGTH = 23;
/** Names drawn before giving up; with nine letters the first is free. */
const MAX_DRAWS = 20;

/**
 * Draws a name that is free now, and a password. Nothing is written. Rejects
 * with StoreUnavailable; resolves with undefined where the names seem to be used up (a relay of very short ones).
 */
export async function drawOffer({ store, random, domain, rules }: OfferParts): Promise<Offer | undefined> {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const local = randomText(NAME_LETTERS, rules.usernameMaxLength, random);
    const address = `${local}@${domain}`;
    if (isReservedName(local) || (await store.accounts.find(address)) !== undefined) continue;
    return { address, password: randomText(SECRET_LETTERS, passwordLength(rules), random) };
  }
  return undefined;
}

function passwordLength({ passwordMinLength }: CreationRules): number {
  const length = Math.max(PASSWORD_LENGTH, passwordMinLength);
  return length === AUTOMATIC_PASSWORD_LENGTH ? length + 1 : length;
}
