/** Longer patterns match nothing: no mailbox name is that long. */
const MAX_PATTERN = 1000;

/**
 * RFC 9051 6.3.9: `*` stands for anything, `%` for anything without the hierarchy delimiter. Both are decoded names;
 * INBOX is matched without case, the rest as it is. Time is at most pattern × name, whatever the pattern: the places
 * that can be reached in the pattern are carried along the name, nothing is tried twice.
 */
export function matchesPattern(name: string, pattern: string, delimiter = '/'): boolean {
  if (pattern.length > MAX_PATTERN) return false;
  const subject = name === 'INBOX' ? name : name.replace(/^INBOX(?=\/)/i, 'INBOX');
  return (
    run(subject, pattern, delimiter) || (name === 'INBOX' && run(name, pattern.toUpperCase(), delimiter))
  );
}

function run(name: string, pattern: string, delimiter: string): boolean {
  let here = new Uint8Array(pattern.length + 1);
  let next = new Uint8Array(pattern.length + 1);
  here[0] = 1;
  passWildcards(here, pattern);
  for (const character of characters(name)) {
    next.fill(0);
    for (let at = 0; at < pattern.length; at += 1) {
      if (here[at] === 0) continue;
      const wanted = pattern[at];
      if (wanted === '*' || (wanted === '%' && character !== delimiter)) next[at] = 1;
      else if (wanted === character) next[at + 1] = 1;
    }
    passWildcards(next, pattern);
    [here, next] = [next, here];
  }
  return here[pattern.length] === 1;
}

/** A wildcard may stand for nothing. */
function passWildcards(reached: Uint8Array, pattern: string): void {
  for (let at = 0; at < pattern.length; at += 1) {
    if (reached[at] === 1 && (pattern[at] === '*' || pattern[at] === '%')) reached[at + 1] = 1;
  }
}

/** UTF-16 units, as the pattern is read. */
function* characters(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += 1) yield text[at] ?? '';
}
