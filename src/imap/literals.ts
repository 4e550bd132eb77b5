import type { LiteralDecision, LiteralOffer } from './wire/splitter.ts';

/** What decides about a literal before its first octet is waited for. */
export interface LiteralRules {
  readonly secure: boolean;
  readonly loggedIn: boolean;
  readonly maxMessageSize: number;
  /** Sets memory aside for the literal; false where there is none left. */
  readonly reserve: (bytes: number) => boolean;
}

/** User name and password together, before anybody is known; passwords are far below (accounts/names.ts). */
export const MAX_BEFORE_LOGIN = 4 * 1024;
/** All literals of a command other than APPEND: a dozen device tokens. */
export const MAX_SMALL = 64 * 1024;

/**
 * RFC 9051 4.3 leaves it to us to refuse, and the client waits for our word or has sent `{n+}` already; then the
 * splitter passes over it.
 */
export function decideLiteral(offer: LiteralOffer, rules: LiteralRules): LiteralDecision {
  const sum = offer.before + offer.size;
  if (!rules.secure) return { refuse: 'NO [PRIVACYREQUIRED] Use STARTTLS first' };
  if (!rules.loggedIn) {
    return sum <= MAX_BEFORE_LOGIN ? 'take' : { refuse: 'BAD Literal too large before login' };
  }
  if (sum <= MAX_SMALL) return 'take';
  if (commandName(offer) !== 'APPEND') return { refuse: 'BAD Literal too large' };
  // RFC 7889 4.
  if (sum > rules.maxMessageSize) return { refuse: 'NO [TOOBIG] Message too large' };
  return rules.reserve(offer.size) ? 'take' : { refuse: 'NO [LIMIT] Too much under way, try again later' };
}

function commandName({ pieces: [start] }: LiteralOffer): string | undefined {
  return /^[^ ]+ ([A-Za-z]+)/.exec(start?.toString('latin1') ?? '')?.[1]?.toUpperCase();
}
