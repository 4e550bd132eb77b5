import { isIPv4 } from 'node:net';

/** Whom a proxy speaks for. */
export interface Proxied {
  readonly source: string;
  readonly sourcePort?: number;
  readonly destination?: string;
  readonly destinationPort?: number;
}

/** Version 1 (proxy-protocol.txt 2.1). */
export function headerV1({
  source,
  destination,
  sourcePort = 56_324,
  destinationPort = 443,
}: Proxied): string {
  const family = isIPv4(source) ? 'TCP4' : 'TCP6';
  const to = destination ?? (isIPv4(source) ? '198.51.100.1' : '2001:db8:1::1');
  return `PROXY ${family} ${source} ${to} ${sourcePort} ${destinationPort}\r\n`;
}

/** Version 2 (2.2); `more` stands behind the addresses. */
export function headerV2(
  { source, destination, sourcePort = 56_324, destinationPort = 443 }: Proxied,
  more: Buffer = Buffer.alloc(0),
): Buffer {
  const to = destination ?? (isIPv4(source) ? '198.51.100.1' : '2001:db8:1::1');
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort);
  ports.writeUInt16BE(destinationPort, 2);
  return rawV2(
    0x21,
    isIPv4(source) ? 0x11 : 0x21,
    Buffer.concat([bytesOf(source), bytesOf(to), ports, more]),
  );
}

/** What a proxy sends when it looks after us for itself. */
export const LOCAL_V2 = rawV2(0x20, 0x00, Buffer.alloc(0));

/** Version 2 with any command, family and rest; `length` for one that does not tell the truth. */
export function rawV2(command: number, family: number, rest: Buffer, length = rest.length): Buffer {
  const fixed = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0');
  fixed.writeUInt8(command, 12);
  fixed.writeUInt8(family, 13);
  fixed.writeUInt16BE(length, 14);
  return Buffer.concat([fixed, rest]);
}

/** An IPv6 address must be written out in all its groups, or hold one `::`. */
function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const middle = new Array<string>(8 - left.length - right.length).fill('0');
  const bytes = Buffer.alloc(16);
  for (const [at, group] of [...left, ...middle, ...right].entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * at);
  return bytes;
}
