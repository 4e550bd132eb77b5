import { BlockList, isIPv6 } from 'node:net';

/** Addresses and whole networks. */
export interface AddressList {
  /** Whether `address`, as a socket writes it, is in the list. What is no address never is. */
  has(address: string): boolean;
}

/**
 * Of IPv4 and IPv6 addresses and networks such as `192.0.2.0/24` and `2001:db8::/32`. Throws where an entry is none
 * (the type of the setting lets no such one through).
 */
export function createAddressList(entries: readonly string[]): AddressList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/');
    const family = familyOf(address);
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return {
    has(address) {
      if (entries.length === 0) return false;
      // A dual-stack socket writes an IPv4 peer as ::ffff:a.b.c.d, and a link-local one with its interface (RFC 4007 11).
      const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/s, '');
      return list.check(plain, familyOf(plain));
    },
  };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}
