import { isIP, isIPv4 } from 'node:net';

/**
 * Why `text` is no address and no network in CIDR form (RFC 4632 3.1, RFC 4291 2.3), in words that go on after it;
 * undefined where it is one. A network is written by its first address, so that a slip in either part comes to light.
 */
export function networkProblem(text: string): string | undefined {
  const [address = '', prefix, more] = text.split('/');
  if (isIP(address) === 0 || address.includes('%') || more !== undefined) return 'is no address or network';
  if (/^::ffff:.*\./i.test(address)) return 'is an IPv4 address: write it as that';
  if (prefix === undefined) return undefined;
  const bits = bitsOf(address);
  const length = /^[1-9]\d{0,2}$/.test(prefix) ? Number(prefix) : Infinity;
  if (length > bits.length) return `needs a number from 1 to ${bits.length} after the slash`;
  return bits.includes('1', length) ? `is not the first address of a network of /${prefix}` : undefined;
}

/** An address as ones and zeros. */
function bitsOf(address: string): string {
  if (isIPv4(address)) return binary(address.split('.').map(Number), 8);
  // The URL standard writes IPv6 in its shortest form, without a dotted tail.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - left.length - right.length).fill('0');
  return binary(
    [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16)),
    16,
  );
}

function binary(numbers: readonly number[], width: number): string {
  return numbers.map((number) => number.toString(2).padStart(width, '0')).join('');
}
