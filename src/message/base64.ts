const LF = 0x0a;
const CR = 0x0d;
const PAD = 0x3d;

/** RFC 4648 table 1: value of each character, -1 for all others (the sign outlives shifting and joining). */
const values = new Int8Array(256).fill(-1);
for (const [value, character] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries()) {
  values[character.charCodeAt(0)] = value;
}

/** Bytes handed on at once; divisible by 3. A 30 MB body never exists twice. */
const SLICE = 48 * 1024;

function valueOf(source: Buffer, at: number): number {
  return values[source[at] ?? 0] ?? -1;
}

/** Whether the byte at `at` is of the base64 alphabet. */
export function isBase64(source: Buffer, at: number): boolean {
  return valueOf(source, at) >= 0;
}

/**
 * Decodes the base64 text of `source` from `start` up to `end` and hands it to `write` in slices, which are good until
 * `write` returns. Strict (RFC 4648 3): no character but the alphabet's and CRLF between lines, padding where it is
 * needed, unused bits zero. Answers with the offset of the first byte that is no longer base64 text (`end`, or what
 * may be an armor's checksum); undefined where the text breaks off within a group.
 */
export function decodeBase64(
  source: Buffer,
  start: number,
  end: number,
  write: (slice: Buffer) => void,
): number | undefined {
  const slice = Buffer.allocUnsafe(Math.min(SLICE, (((end - start) >> 2) + 1) * 3));
  let filled = 0;
  let bits = 0;
  let held = 0;
  let at = start;
  while (at < end) {
    if (held === 0) {
      // Whole groups at once: nearly all of a body is read here.
      for (; at + 4 <= end && filled + 3 <= slice.length; at += 4) {
        const group =
          (valueOf(source, at) << 18) |
          (valueOf(source, at + 1) << 12) |
          (valueOf(source, at + 2) << 6) |
          valueOf(source, at + 3);
        if (group < 0) break;
        slice[filled] = group >> 16;
        slice[filled + 1] = group >> 8;
        slice[filled + 2] = group;
        filled += 3;
      }
      if (filled + 3 > slice.length) {
        write(slice.subarray(0, filled));
        filled = 0;
        continue;
      }
      if (at >= end) break;
    }
    const value = valueOf(source, at);
    if (value < 0) {
      if (source[at] !== CR || source[at + 1] !== LF || at + 1 >= end) break;
      at += 2;
      continue;
    }
    at++;
    bits = (bits << 6) | value;
    if (++held < 4) continue;
    slice[filled++] = bits >> 16;
    slice[filled++] = bits >> 8;
    slice[filled++] = bits;
    held = bits = 0;
  }
  if (held > 0) {
    // Two characters are one byte and `==`, three are two bytes and `=`; one alone is nothing.
    const pads = 4 - held;
    const unused = held === 3 ? 0b11 : 0b1111;
    if (pads > 2 || (bits & unused) !== 0) return undefined;
    for (let pad = 0; pad < pads; pad++, at++) if (at >= end || source[at] !== PAD) return undefined;
    if (held === 2) slice[filled++] = bits >> 4;
    else {
      slice[filled++] = bits >> 10;
      slice[filled++] = bits >> 2;
    }
    while (at + 1 < end && source[at] === CR && source[at + 1] === LF) at += 2;
  }
  if (filled > 0) write(slice.subarray(0, filled));
  return at;
}
