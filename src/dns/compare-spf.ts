import { BlockList, isIP, isIPv4 } from 'node:net';
import { differs, missing, ok } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import { canonicalName } from './zone.ts';

export interface SpfContext {
  readonly domain: string;
  /** From where the relay sends, as far as that is known. */
  readonly addresses: readonly string[];
  /** Those that DNS has for the domain: what `a` stands for. */
  readonly published: readonly string[];
  /** Whether one of the domain's MX records leads to the domain itself. */
  readonly mailComesHere: boolean;
}

/** Terms of one record; more is no record of a person. */
const MAX_TERMS = 100;

/**
 * Whether the SPF record (RFC 7208) lets the relay send, whatever else it says: the operator's own mechanisms stand. What
 * would take more questions to DNS (`include:`, `redirect=`, macros) is believed, with a note.
 */
export function compareSpf(have: readonly string[], context: SpfContext): Verdict {
  const records = have.filter((text) => /^\s*v=spf1(\s|$)/i.test(text));
  const [record] = records;
  if (record === undefined) {
    return have.some((text) => /^\s*"+\s*v=spf1/i.test(text))
      ? differs('the text has quotation marks in it: type it without them')
      : missing();
  }
  if (records.length > 1)
    return differs('there are several SPF records, which is an error for who reads them: make one of them');
  const terms = record.trim().split(/\s+/).slice(1, MAX_TERMS);
  const everybody = terms.some((term) => /^\+?all$/i.test(term));
  const results = (context.addresses.length > 0 ? context.addresses : [undefined]).map((address) => ({
    address,
    result: evaluate(terms, address, context),
  }));
  const refused = results.find(({ result }) => result === 'refused');
  if (refused)
    return differs(
      refused.address === undefined
        ? `it does not let ${context.domain} send: add a`
        : `it does not let ${refused.address} send: add ${isIPv4(refused.address) ? 'ip4' : 'ip6'}:${refused.address}, or a`,
    );
  return ok(
    ...(everybody ? ['+all lets everybody send in your name: end it with ~all'] : []),
    ...(results.some(({ result }) => result === 'unseen')
      ? ['whether what it names lets the relay send was not looked up']
      : []),
  );
}

/** Mechanisms in their order, the first that fits decides (RFC 7208 4.6.2). */
function evaluate(
  terms: readonly string[],
  address: string | undefined,
  context: SpfContext,
): 'passed' | 'refused' | 'unseen' {
  for (const term of terms) {
    const [, sign = '', name = '', rest = ''] = /^([-+~?]?)([a-z0-9_.-]+)([:=/]?.*)$/i.exec(term) ?? [];
    const matches = fits(name.toLowerCase(), rest, address, context);
    if (matches === 'unseen') return 'unseen';
    if (matches) return sign === '' || sign === '+' ? 'passed' : 'refused';
  }
  return 'refused';
}

function fits(
  name: string,
  rest: string,
  address: string | undefined,
  { domain, published, mailComesHere }: SpfContext,
): boolean | 'unseen' {
  switch (name) {
    case 'all':
      return true;
    case 'a':
    case 'mx': {
      const [, target = domain, prefix] = /^(?::([^/]*))?((?:\/.*)?)$/.exec(rest) ?? [];
      if (canonicalName(target) !== domain) return 'unseen';
      if (name === 'mx' && !mailComesHere) return false;
      if (address === undefined || published.includes(address)) return true;
      return prefix === '' || prefix === undefined ? false : 'unseen';
    }
    case 'ip4':
    case 'ip6':
      return address === undefined ? 'unseen' : contains(rest.replace(/^:/, ''), address);
    case 'include':
    case 'exists':
    case 'ptr':
    case 'redirect':
      return 'unseen';
    default:
      return false;
  }
}

function contains(network: string, address: string): boolean {
  const [base = '', prefix] = network.split('/');
  const kind = isIP(base);
  if (kind === 0 || kind !== isIP(address)) return false;
  const family = kind === 4 ? 'ipv4' : 'ipv6';
  const bits = prefix === undefined ? (kind === 4 ? 32 : 128) : Number(prefix);
  if (!Number.isInteger(bits) || bits < 0 || bits > (kind === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(base, bits, family);
  return list.check(address, family);
}
