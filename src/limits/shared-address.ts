import { isIP } from 'node:net';
import { createAddressList } from './address-list.ts';

/** Addresses that no single stranger has: whoever comes from there came through something of ours. */
const shared = createAddressList([
  '0.0.0.0/8',
  '127.0.0.0/8',
  // RFC 1918
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  // RFC 6598: behind the provider's own translation
  '100.64.0.0/10',
  // RFC 3927
  '169.254.0.0/16',
  '::1',
  // RFC 4193 and RFC 4291 2.5.6
  'fc00::/7',
  'fe80::/10',
]);

/**
 * Whether many people may stand behind `address` because it is not one of the internet: the gateway of a container
 * network, a proxy or a router in front of us, the machine itself. What is no address counts as shared.
 */
export function isSharedAddress(address: string): boolean {
  return isIP(address) === 0 || shared.has(address);
}
