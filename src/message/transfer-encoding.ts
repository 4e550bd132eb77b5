import { decodeBase64 } from './base64.ts';

/** Content-Transfer-Encoding (RFC 2045 6.1); `identity` stands for 7bit, 8bit and binary. */
export type TransferEncoding = 'identity' | 'base64' | 'quoted-printable';

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const EQUALS = 0x3d;

/** The encoding named by a field's value, '' being the default; undefined for one that is not known. */
export function parseTransferEncoding(value: string): TransferEncoding | undefined {
  switch (value.toLowerCase()) {
    case '':
    case '7bit':
    case '8bit':
    case 'binary':
      return 'identity';
    case 'base64':
      return 'base64';
    case 'quoted-printable':
      return 'quoted-printable';
    default:
      return undefined;
  }
}

/**
 * The bytes that `body` stands for, not copied where nothing is encoded. Strict: RFC 2045 tells readers to pass over
 * what does not belong in an encoding, so text could hide there; such a body is undefined. Linear.
 */
export function decodeStrictly(body: Buffer, encoding: TransferEncoding): Buffer | undefined {
  switch (encoding) {
    case 'identity':
      return body;
    case 'base64':
      return decodeWholeBase64(body);
    case 'quoted-printable':
      return decodeQuotedPrintable(body);
  }
}

function decodeWholeBase64(body: Buffer): Buffer | undefined {
  const decoded = Buffer.allocUnsafe(((body.length >> 2) + 1) * 3);
  let size = 0;
  const end = decodeBase64(body, 0, body.length, (slice) => {
    size += slice.copy(decoded, size);
  });
  return end === body.length ? decoded.subarray(0, size) : undefined;
}

/** RFC 2045 6.7. */
function decodeQuotedPrintable(body: Buffer): Buffer | undefined {
  const decoded = Buffer.allocUnsafe(body.length);
  let size = 0;
  for (let at = 0; at < body.length;) {
    const byte = body[at] ?? 0;
    if (byte === CR || byte === LF) {
      if (byte !== CR || body[at + 1] !== LF) return undefined;
      // Space at the end of a line is not part of the text (rule 3): some readers keep it.
      const last = body[at - 1];
      if (at > 0 && (last === SPACE || last === TAB)) return undefined;
      decoded[size++] = CR;
      decoded[size++] = LF;
      at += 2;
    } else if (byte === EQUALS) {
      if (body[at + 1] === CR && body[at + 2] === LF) {
        at += 3; // soft line break
        continue;
      }
      const high = hexDigit(body[at + 1]);
      const low = hexDigit(body[at + 2]);
      if (high === undefined || low === undefined) return undefined;
      decoded[size++] = high * 16 + low;
      at += 3;
    } else {
      const run = at;
      while (isLiteral(body[at])) at++;
      if (at === run) return undefined;
      size += body.copy(decoded, size, run, at);
    }
  }
  return decoded.subarray(0, size);
}

function isLiteral(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= SPACE && byte <= 0x7e && byte !== EQUALS) || byte === TAB);
}

function hexDigit(byte: number | undefined): number | undefined {
  if (byte === undefined) return undefined;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte & ~0x20;
  return letter >= 0x41 && letter <= 0x46 ? letter - 0x41 + 10 : undefined;
}
