import { isIPv4 } from 'node:net';
import { isPublicAddress } from './public-address.ts';

/** A machine of a relay has one or two; one with a thousand would make a zone of a thousand lines. */
const MAX_ADDRESSES = 4;

/**
 * Where the relay is to be reached, IPv4 and IPv6 each: the public addresses of this machine, and of several that IPv6
 * gives it those that DNS has already; behind NAT or a balancer, where it has none, what DNS has.
 */
export function relayAddresses(own: readonly string[], published: readonly string[]): readonly string[] {
  return [isIPv4, (address: string) => !isIPv4(address)].flatMap((ofFamily) => {
    const here = own.filter((address) => ofFamily(address) && isPublicAddress(address));
    const there = published.filter(ofFamily);
    const both = here.filter((address) => there.includes(address));
    const found = both.length > 0 ? both : here.length > 0 ? here.slice(0, 1) : there;
    return [...new Set(found)].slice(0, MAX_ADDRESSES);
  });
}

/** Where the name of an address is kept: `7.2.0.192.in-addr.arpa` (RFC 1035 3.5), `…ip6.arpa` (RFC 3596 2.5). */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const digits = groupsOf(address).map((group) => group.padStart(4, '0'));
  return `${[...digits.join('')].reverse().join('.')}.ip6.arpa`;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): readonly string[] {
  // The URL parser writes any IPv6 address in its shortest form, without dotted decimals (RFC 5952).
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = short.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...right];
}
