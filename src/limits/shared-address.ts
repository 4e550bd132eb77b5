import { BlockList, isIPv6 } from 'node:net';

/** Addresses that no single stranger has: whoever comes from there came through something of ours. */
const shared = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  // RFC 1918
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  // RFC 6598: behind the provider's own translation
  ['100.64.0.0', 10],
  // RFC 3927
  ['169.254.0.0', 16],
] as const) {
  shared.addSubnet(network, prefix, 'ipv4');
}
shared.addAddress('::1', 'ipv6');
// RFC 4193 and RFC 4291 2.5.6
shared.addSubnet('fc00::', 7, 'ipv6');
shared.addSubnet('fe80::', 10, 'ipv6');

/**
 * Whether many people may stand behind `address` because it is not one of the internet: the gateway of a container
 * network, a proxy or a router in front of us, the machine itself. What is no address counts as shared.
 */
export function isSharedAddress(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const plain = mapped ?? address.split('%')[0] ?? '';
  if (isIPv6(plain)) return shared.check(plain, 'ipv6');
  return !/^\d+\.\d+\.\d+\.\d+$/.test(plain) || shared.check(plain, 'ipv4');
}
