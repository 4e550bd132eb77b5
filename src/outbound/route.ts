import { DnsMissing } from '../dns/resolver.ts';
import type { MxResolver } from '../dns/resolver.ts';
import type { Random } from '../clock.ts';
import { Stopped, textOf, trouble } from './problem.ts';

/** Hosts of one destination that are tried, the preferred ones first. */
export const MAX_HOSTS = 8;

/**
 * The hosts that take mail for a destination, in the order in which they are to be tried (RFC 5321 5.1): by preference,
 * among equal ones by chance, so that load is spread. A destination without MX records is its own host; an address
 * literal is that address. Throws Stopped: for ever where the name does not exist or takes no mail (RFC 7505), for now
 * where DNS does not answer.
 */
export async function findHosts(
  destination: string,
  resolver: MxResolver,
  random: Random,
): Promise<readonly string[]> {
  const literal = literalAddress(destination);
  if (literal !== undefined) return [literal];
  const records = await resolver.mx(destination).catch((error: unknown) => {
    if (!(error instanceof DnsMissing))
      throw new Stopped(
        'deferred',
        trouble('4.4.3', `DNS does not say where mail for ${destination} goes: ${textOf(error)}`),
      );
    if (error.noSuchName)
      throw new Stopped('failed', trouble('5.1.2', `Domain ${destination} does not exist`));
    return [{ exchange: destination, preference: 0 }];
  });
  // RFC 7505 3: beside others it means nothing.
  const hosts = records.filter(({ exchange }) => exchange !== '');
  // relay.md 3: upstream's text.
  if (hosts.length === 0) throw new Stopped('failed', trouble('5.1.10', 'Recipient address has null MX'));
  const drawn = hosts.map((host) => ({ ...host, by: random(4).readUInt32BE() }));
  drawn.sort((one, other) => one.preference - other.preference || one.by - other.by);
  return [...new Set(drawn.map(({ exchange }) => exchange))].slice(0, MAX_HOSTS);
}

/** `[192.0.2.1]` or `[IPv6:2001:db8::1]` without what is around the address (RFC 5321 4.1.3). */
export function literalAddress(destination: string): string | undefined {
  const inside = /^\[(.*)\]$/.exec(destination)?.[1];
  return inside?.replace(/^ipv6:/i, '');
}
