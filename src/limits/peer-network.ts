import { isIPv6 } from 'node:net';

/**
 * What counts as one peer for limits: an IPv4 address, or the /64 of an IPv6 address, because one host usually has a
 * whole /64 to itself (RFC 6177) and could else take a fresh address for each connection. An IPv4 address written as
 * `::ffff:a.b.c.d` (dual-stack sockets) is that IPv4 address. What is no address is kept as it is.
 */
export function peerNetwork(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}

/** The 16-bit groups of a part of an IPv6 address, without leading zeros; a dotted tail stands for two. */
function groups(part: string): string[] {
  if (part === '') return [];
  return part
    .split(':')
    .flatMap((group) => (group.includes('.') ? ['0', '0'] : [group.replace(/^0+(?=.)/, '')]));
}
