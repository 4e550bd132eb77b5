import { refuse } from '../errors.ts';
import type { Refusal } from '../errors.ts';
import type { DkimFacts, SignatureFact } from './facts.ts';

export type DkimVerdict = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

/** Characters of a refusal's detail. */
const MAX_DETAIL = 600;

/**
 * The rule for mail from outside: one valid signature whose d= is `fromDomain` itself, in any case of letters, no
 * subdomains (relay.md 4). Without one, but with an aligned one that DNS kept us from checking, the sender shall try
 * again. Bad signatures beside a good one do no harm.
 */
export function judgeDkim(facts: DkimFacts, fromDomain: string): DkimVerdict {
  if (facts.count === 0) return { ok: false, refusal: refuse('dkim_missing', 'no DKIM-Signature field') };
  const domain = fromDomain.toLowerCase();
  const aligned = facts.signatures.filter((signature) => signature.domain === domain);
  if (aligned.some(({ status }) => status === 'valid')) return { ok: true };
  const temporary = aligned.some(({ status }) => status === 'temporary');
  return { ok: false, refusal: refuse(temporary ? 'dkim_temporary' : 'dkim_invalid', describe(facts)) };
}

function describe({ signatures, count }: DkimFacts): string {
  const each = signatures.map(
    ({ domain, selector, reason }: SignatureFact) =>
      `${selector || '?'}._domainkey.${domain || '?'}: ${reason}`,
  );
  const more = count > signatures.length ? [`${count - signatures.length} more not looked at`] : [];
  return [...more, ...each].join('; ').slice(0, MAX_DETAIL);
}
