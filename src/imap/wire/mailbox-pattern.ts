/** Longer patterns match nothing: names have at most 255 octets (mailbox-name.ts), and more wildcards mean no more. */
export const MAX_PATTERN = 255;

/**
 * RFC 9051 6.3.9: `*` stands for anything, `%` for anything without the hierarchy delimiter. Both are decoded names;
 * INBOX is matched without case, the rest as it is. Nothing is tried twice: all places of the pattern that can be
 * reached are carried along the name, 32 in a word, so the worst pattern costs microseconds a name.
 */
export function matchesPattern(name: string, pattern: string, delimiter = '/'): boolean {
  if (pattern.length > MAX_PATTERN) return false;
  const simple = withoutRuns(pattern);
  return run(name, name === 'INBOX' ? simple.toUpperCase() : simple, delimiter);
}

/** Wildcards in a row mean no more than one of them. */
function withoutRuns(pattern: string): string {
  return pattern.replace(/[*%]{2,}/g, (wildcards) => (wildcards.includes('*') ? '*' : '%'));
}

/** Bit n stands for the place in the pattern before its character n. */
type Places = Uint32Array;

function run(name: string, pattern: string, delimiter: string): boolean {
  const words = (pattern.length >>> 5) + 1;
  /** Where each character of the pattern stands. */
  const where = new Map<string, Places>();
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    let places = where.get(character);
    if (!places) where.set(character, (places = new Uint32Array(words)));
    setPlace(places, at);
  }
  const none: Places = new Uint32Array(words);
  const stars = where.get('*') ?? none;
  const percents = where.get('%') ?? none;

  const reached: Places = new Uint32Array(words);
  setPlace(reached, 0);
  // A wildcard may stand for nothing. No other follows it.
  if (pattern.startsWith('*') || pattern.startsWith('%')) setPlace(reached, 1);
  for (let at = 0; at < name.length; at += 1) {
    const character = name.charAt(at);
    const same = where.get(character) ?? none;
    const blocked = character === delimiter;
    let carry = 0;
    for (let word = 0; word < words; word += 1) {
      const here = reached[word] ?? 0;
      const star = stars[word] ?? 0;
      const percent = percents[word] ?? 0;
      const moved = here & (same[word] ?? 0);
      const stayed = here & (blocked ? star : star | percent);
      const next = (moved << 1) | stayed;
      const passed = (next | carry) & (star | percent);
      reached[word] = next | carry | (passed << 1);
      carry = ((moved | passed) >>> 31) & 1;
    }
  }
  return hasPlace(reached, pattern.length);
}

function setPlace(places: Places, at: number): void {
  places[at >>> 5] = (places[at >>> 5] ?? 0) | (1 << (at & 31));
}

function hasPlace(places: Places, at: number): boolean {
  return (((places[at >>> 5] ?? 0) >>> (at & 31)) & 1) === 1;
}
