import { decodeBase64, isBase64 } from './base64.ts';

const begin = Buffer.from('-----BEGIN PGP MESSAGE-----\r\n');
const end = Buffer.from('-----END PGP MESSAGE-----');
const version = Buffer.from('Version: ');

/** Bytes of a `Version:` line. The longest seen has 60; without a bound it would be a place for text. */
export const MAX_VERSION_LINE = 200;

const LF = 0x0a;
const CR = 0x0d;
const EQUALS = 0x3d;

/**
 * Reads the ASCII armor of an OpenPGP message (RFC 9580 6.2) and hands the bytes to `write` in slices. The armor is
 * all that `body` may hold, but for empty lines. No armor headers; one `Version:` line where `allowVersion` says so.
 * Answers with the problem in plain words, undefined where there is none. Linear.
 */
export function readArmor(
  body: Buffer,
  allowVersion: boolean,
  write: (slice: Buffer) => void,
): string | undefined {
  if (!body.subarray(0, begin.length).equals(begin)) return 'no armor at the start';
  let size = body.length;
  while (body[size - 1] === LF && body[size - 2] === CR) size -= 2;
  const tail = size - end.length;
  if (tail < begin.length || !body.subarray(tail, size).equals(end)) return 'no armor at the end';
  if (body[tail - 1] !== LF) return 'end of armor within a line';

  let start = begin.length;
  if (body.subarray(start, start + version.length).equals(version)) {
    if (!allowVersion) return 'armor header';
    const line = body.subarray(start, start + MAX_VERSION_LINE).indexOf('\r\n');
    if (line < 0) return 'armor header too long';
    start += line + 2;
  }
  // Every other armor header has a colon and fails as base64; so does space on the empty line before the data.
  const stop = decodeBase64(body, start, tail, write);
  if (stop === undefined) return 'armor with broken base64';
  return stop === tail || isChecksum(body, stop, tail) ? undefined : 'armor with text that is not base64';
}

/**
 * `=` and four characters on a line of their own (RFC 4880 6.1; optional in RFC 9580). The form is looked at, because
 * anything might be written here; the sum is not, because RFC 9580 6.1 forbids to refuse a message for it.
 */
function isChecksum(body: Buffer, start: number, end: number): boolean {
  if (body[start - 1] !== LF || body[start] !== EQUALS) return false;
  for (let at = start + 1; at <= start + 4; at++) if (at >= end || !isBase64(body, at)) return false;
  for (let at = start + 5; at < end; at += 2) if (body[at] !== CR || body[at + 1] !== LF) return false;
  return true;
}
