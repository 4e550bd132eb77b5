/**
 * Looks for a run of bytes, ASCII letters without case, in bytes that come chunk by chunk. Linear whatever the bytes
 * (Knuth, Morris and Pratt): no message makes a search slow.
 */
export interface BytesMatcher {
  /** Whether it was found, in this chunk or before; goes on from where the chunk before ended. */
  feed(chunk: Buffer): boolean;
}

const lower = new Uint8Array(256).map((_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));

/** `needle` that is empty is found at once. The caller bounds its length. */
export function createBytesMatcher(needle: Buffer): BytesMatcher {
  const wanted = Uint8Array.from(needle, (byte) => lower[byte] ?? byte);
  const fallback = fallbacks(wanted);
  let matched = 0;
  let found = wanted.length === 0;
  return {
    feed(chunk) {
      if (found) return true;
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = lower[chunk[at] ?? 0] ?? 0;
        while (matched > 0 && wanted[matched] !== byte) matched = fallback[matched - 1] ?? 0;
        if (wanted[matched] === byte) matched += 1;
        if (matched === wanted.length) {
          found = true;
          break;
        }
      }
      return found;
    },
  };
}

/** For each place: length of the longest proper prefix that ends there too. */
function fallbacks(wanted: Uint8Array): Uint32Array {
  const table = new Uint32Array(wanted.length);
  for (let at = 1, length = 0; at < wanted.length;) {
    if (wanted[at] === wanted[length]) table[at++] = ++length;
    else if (length > 0) length = table[length - 1] ?? 0;
    else table[at++] = 0;
  }
  return table;
}
