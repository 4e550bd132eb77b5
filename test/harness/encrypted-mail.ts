/** Mail made by hand, so that every piece can be bent: packets, armor, parts, header. Lines end in CRLF. */

/** An OpenPGP packet with a new-format header (RFC 9580 4.2.1) and the shortest length. */
export function packet(type: number, body: Buffer): Buffer {
  const size = body.length;
  const length =
    size < 192
      ? [size]
      : size < 8384
        ? [192 + ((size - 192) >> 8), (size - 192) & 0xff]
        : [255, size >>> 24, (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff];
  return Buffer.concat([Buffer.from([0xc0 | type, ...length]), body]);
}

/** Has the shape of an encrypted message; `size` is that of the (random-looking) ciphertext. */
export function encryptedPackets(size = 100): Buffer {
  const ciphertext = Buffer.alloc(size, Buffer.from([2, 9, 2, 6, 0x8f, 0x33, 0xe1]));
  return Buffer.concat([packet(1, Buffer.alloc(40, 3)), packet(18, ciphertext)]);
}

export interface ArmorShape {
  /** Lines before the empty one. */
  readonly headers?: readonly string[];
  /** The line after the data; '' for none. Nobody checks the sum. */
  readonly checksum?: string;
}

export function armor(packets: Buffer, { headers = [], checksum = '=aB3/' }: ArmorShape = {}): string {
  const data = packets.toString('base64').replace(/.{64}(?=.)/g, '$&\r\n');
  return [
    '-----BEGIN PGP MESSAGE-----',
    ...headers,
    '',
    data,
    ...(checksum === '' ? [] : [checksum]),
    '-----END PGP MESSAGE-----',
    '',
  ].join('\r\n');
}

export interface MailShape {
  readonly from?: string;
  readonly to?: string;
  /** Lines behind the usual ones. */
  readonly headers?: readonly string[];
  /** All Content-Type lines of the header. */
  readonly contentType?: string;
  readonly preamble?: string;
  /** Each with its header. */
  readonly parts?: readonly string[];
  /** The line that closes the multipart, and all after it. */
  readonly ending?: string;
}

export const BOUNDARY = 'b0undary=_1';

export const controlPart =
  'Content-Type: application/pgp-encrypted; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\nVersion: 1\r\n';

export function dataPart(body: string = armor(encryptedPackets()), header?: string): string {
  const lines =
    header ?? 'Content-Type: application/octet-stream; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit';
  return `${lines}\r\n\r\n${body}`;
}

/** By default a message that every filter takes. */
export function mail(shape: MailShape = {}): Buffer {
  const { from = '<alice@chat.test>', to = '"hidden-recipients": ;', headers = [], preamble = '' } = shape;
  const {
    contentType = `Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; \r\n\tboundary="${BOUNDARY}"`,
    parts = [controlPart, dataPart()],
    ending = `--${BOUNDARY}--\r\n`,
  } = shape;
  const header = [
    ...(contentType === '' ? [] : [contentType]),
    'MIME-Version: 1.0',
    `From: ${from}`,
    `To: ${to}`,
    'Subject: [...]',
    'Date: Wed, 18 Nov 2026 12:42:46 +0000',
    'Message-ID: <c852eaef-0002-4d79-8908-d91a15cfa0ee@localhost>',
    ...headers,
  ];
  const body = parts.map((part) => `--${BOUNDARY}\r\n${part}\r\n`).join('');
  return Buffer.from(`${header.join('\r\n')}\r\n\r\n${preamble}${body}${ending}`, 'latin1');
}

/** The cleartext that begins a secure join by an old QR code. */
export function secureJoinRequest(
  shape: MailShape & { readonly text?: string; readonly field?: string } = {},
): Buffer {
  const { text = 'Secure-Join: vc-request', field = 'Secure-Join: vc-request' } = shape;
  return mail({
    contentType: `Content-Type: multipart/mixed; boundary="${BOUNDARY}"`,
    parts: [`Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n${text}`],
    ...shape,
    headers: [field, ...(shape.headers ?? [])],
  });
}
