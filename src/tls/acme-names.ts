import { DnsMissing } from '../dns/resolver.ts';
import type { OtherNames } from './acme-due.ts';

/** Names below the mail domain that web browsers, mail servers and mail apps may ask for. */
const PREFIXES = ['www', 'mta-sts', 'autoconfig'];

/**
 * Which of the names below `domain` lead to this machine: each of their addresses is one of the machine's own, or one
 * that the mail domain has (behind NAT and in containers a machine does not know the address it is reached by). Never
 * rejects.
 */
export async function findOtherNames(
  domain: string,
  /** The IPv4 and IPv6 addresses of a name; rejects with DnsMissing or DnsTrouble. */
  addressesOf: (name: string) => Promise<readonly string[]>,
  ownAddresses: readonly string[],
): Promise<OtherNames> {
  const lookUp = async (name: string): Promise<readonly string[] | 'missing' | 'trouble'> => {
    try {
      return await addressesOf(name);
    } catch (error) {
      return error instanceof DnsMissing ? 'missing' : 'trouble';
    }
  };
  const names = PREFIXES.map((prefix) => `${prefix}.${domain}`);
  const [main, ...found] = await Promise.all([domain, ...names].map(lookUp));
  const here = new Set([...ownAddresses, ...(typeof main === 'object' ? main : [])]);
  const leadsHere = (answer: (typeof found)[number] | undefined) =>
    typeof answer === 'object' && answer.every((address) => here.has(address));
  return {
    here: names.filter((_, place) => leadsHere(found[place])),
    unsure: names.filter((_, place) => found[place] === 'trouble'),
  };
}
