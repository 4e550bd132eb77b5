/** Packet types of RFC 9580 5. */
const PKESK = 1;
const SKESK = 3;
const SEIPD = 18;

/** RFC 9580 4.2.1.4: the first partial length must be at least this many octets. */
const MIN_FIRST_PARTIAL = 512;

/**
 * Packets and partial chunks of one message. Mail to 1000 people has some thousand session keys; the smallest chunks in
 * the field (GnuPG's, 8 KB) are 4000 in 30 MB. Without a bound every octet could be one.
 */
export const MAX_PACKETS_AND_CHUNKS = 100_000;

/** Walks the packets of an OpenPGP message that is given in slices of any size. Keeps no data. */
export interface PacketWalk {
  readonly write: (slice: Buffer) => void;
  /** To be called once, at the end: the problem in plain words, undefined where the message is encrypted. */
  readonly finish: () => string | undefined;
}

type Expected = 'tag' | 'length' | 'body';

/**
 * Checks the shape of an encrypted message (RFC 9580 10.3): one or more session keys (PKESK, SKESK), then one SEIPD
 * that ends where the data end. Versions, algorithms and contents are not looked at. New and old packet headers;
 * partial lengths as RFC 9580 4.2.1.4 has them; the old indeterminate length is refused.
 */
export function createPacketWalk(): PacketWalk {
  let problem: string | undefined;
  let expected: Expected = 'tag';
  let type = 0;
  let sessionKeys = 0;
  let lengths = 0;
  let complete = false;
  /** Octets of the length: how many there are (0: the first will tell), how many were read, the first, all as a number. */
  let lengthSize = 0;
  let lengthRead = 0;
  let first = 0;
  let length = 0;
  let oldFormat = false;
  /** Whether more chunks of this packet follow the one being read, and whether one went before. */
  let partial = false;
  let continued = false;
  let remaining = 0;

  function readTag(octet: number): void {
    if (complete) problem = 'data after the encrypted packet';
    else if ((octet & 0x80) === 0) problem = 'no OpenPGP packet';
    else {
      oldFormat = (octet & 0x40) === 0;
      type = oldFormat ? (octet >> 2) & 0x0f : octet & 0x3f;
      if (type !== PKESK && type !== SKESK && type !== SEIPD) problem = `packet of type ${type}`;
      else if (type === SEIPD && sessionKeys === 0) problem = 'encrypted packet without a session key';
      else if (oldFormat && (octet & 0x03) === 3) problem = 'packet of indeterminate length';
      if (type !== SEIPD) sessionKeys++;
      continued = false;
      // Old format: 0, 1, 2 are 1, 2, 4 octets.
      expectLength(oldFormat ? 1 << (octet & 0x03) : 0);
    }
  }

  function expectLength(size: number): void {
    expected = 'length';
    lengthSize = size;
    lengthRead = 0;
    length = 0;
  }

  function readLength(octet: number): void {
    if (lengthRead++ === 0) {
      first = octet;
      if (lengthSize === 0) lengthSize = newLengthSize(octet);
    }
    length = length * 256 + octet;
    if (lengthRead < lengthSize) return;
    if (++lengths > MAX_PACKETS_AND_CHUNKS) problem = 'too many packets';
    partial = !oldFormat && first >= 224 && first < 255;
    if (partial) {
      remaining = 2 ** (first & 0x1f);
      if (type !== SEIPD) problem = 'session key packet in partial lengths';
      else if (!continued && remaining < MIN_FIRST_PARTIAL) problem = 'first partial length below 512';
      continued = true;
    } else if (oldFormat || lengthSize === 1) remaining = length;
    else if (lengthSize === 2) remaining = length - 192 * 256 + 192;
    else remaining = length - 255 * 2 ** 32;
    expected = 'body';
    if (remaining === 0) endOfChunk();
  }

  function endOfChunk(): void {
    if (partial) expectLength(0);
    else {
      expected = 'tag';
      complete = type === SEIPD;
    }
  }

  return {
    write(slice) {
      for (let at = 0; at < slice.length && problem === undefined;) {
        if (expected === 'body') {
          const step = Math.min(remaining, slice.length - at);
          at += step;
          remaining -= step;
          if (remaining === 0) endOfChunk();
          continue;
        }
        const octet = slice[at++] ?? 0;
        if (expected === 'tag') readTag(octet);
        else readLength(octet);
      }
    },
    finish() {
      if (problem !== undefined || complete) return problem;
      return expected === 'tag' ? 'no encrypted packet' : 'packet that is cut off';
    },
  };
}

/** RFC 9580 4.2.1: octets of a new-format length, by the first of them. */
function newLengthSize(first: number): number {
  if (first < 192) return 1;
  if (first < 224) return 2;
  return first === 255 ? 5 : 1;
}
