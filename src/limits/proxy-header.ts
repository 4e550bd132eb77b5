import { SocketAddress, isIPv4, isIPv6 } from 'node:net';

/** The header with which a proxy says whom it speaks for (haproxy.org, proxy-protocol.txt, revision 2020/03/05). */
export interface ProxyHeader {
  /** The client, in its shortest form; undefined where the proxy speaks for itself or does not know. */
  readonly address: string | undefined;
  /** Bytes it takes; what follows is the client's. */
  readonly length: number;
}

/** `incomplete`: more bytes are needed. `invalid`: what comes is no such header, or one that is not for TCP. */
export type ProxyHeaderReading = ProxyHeader | 'incomplete' | 'invalid';

/** Section 2.1: the longest line of version 1, with its CRLF. */
export const MAX_V1 = 107;
/**
 * Of version 2, what follows the fixed part: addresses, and what a proxy may tell beside them (2.2.7), of which a
 * client's certificate is the biggest.
 */
export const MAX_V2_REST = 4096;

const V1 = Buffer.from('PROXY ');
const V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n');
/** Signature, version and command, family and transport, length. */
const V2_FIXED = 16;
/** Section 2.2: by family and transport, where the source address ends in the rest, and how long the rest is at least. */
const V2_FAMILIES: ReadonlyMap<number, { readonly source: number; readonly least: number }> = new Map([
  [0x11, { source: 4, least: 12 }],
  [0x21, { source: 16, least: 36 }],
]);
/** The proxy does not know, or its client came by a socket of its machine: the spec lets us use its own address. */
const V2_WITHOUT_ADDRESS = new Set([0x00, 0x31]);

/** Reads the header at the start of `bytes`, whichever version it is. Never throws. */
export function readProxyHeader(bytes: Buffer): ProxyHeaderReading {
  if (begins(bytes, V2)) return bytes.length < V2_FIXED ? 'incomplete' : readV2(bytes);
  if (begins(bytes, V1)) return readV1(bytes);
  return 'invalid';
}

/** Whether `bytes` begin with `sign`, as far as they are there. */
function begins(bytes: Buffer, sign: Buffer): boolean {
  const length = Math.min(bytes.length, sign.length);
  return bytes.subarray(0, length).equals(sign.subarray(0, length));
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and CRLF. */
function readV1(bytes: Buffer): ProxyHeaderReading {
  const end = bytes.subarray(0, MAX_V1).indexOf('\r\n');
  if (end < 0) return bytes.length < MAX_V1 ? 'incomplete' : 'invalid';
  const length = end + 2;
  const [, family, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ');
  // What else is in the line is to be passed over.
  if (family === 'UNKNOWN') return { address: undefined, length };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : () => false;
  if (!isAddress(source) || !isAddress(destination)) return 'invalid';
  if (ports.length !== 2 || !ports.every(isPort)) return 'invalid';
  return { address: shortest(source), length };
}

function readV2(bytes: Buffer): ProxyHeaderReading {
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const rest = bytes.readUInt16BE(14);
  if ((command !== 0x20 && command !== 0x21) || rest > MAX_V2_REST) return 'invalid';
  const length = V2_FIXED + rest;
  // LOCAL: the proxy's own health check; the family and the rest say nothing.
  if (command === 0x20 || V2_WITHOUT_ADDRESS.has(family)) {
    return bytes.length < length ? 'incomplete' : { address: undefined, length };
  }
  const form = V2_FAMILIES.get(family);
  if (form === undefined || rest < form.least) return 'invalid';
  if (bytes.length < length) return 'incomplete';
  return { address: textOf(bytes.subarray(V2_FIXED, V2_FIXED + form.source)), length };
}

function textOf(address: Buffer): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => address.readUInt16BE(2 * at).toString(16));
  return shortest(groups.join(':'));
}

/** As a socket would write it. */
function shortest(address: string): string {
  return new SocketAddress({ address, family: isIPv4(address) ? 'ipv4' : 'ipv6' }).address;
}

/** Without the name of an interface, which would be one of the proxy's. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535;
}
