import { MAX_KEYWORDS } from '../contract.ts';
import type { StoreFlags } from '../contract.ts';

/** RFC 9051 2.3.2; \Recent is of RFC 3501 and kept nowhere. */
const system = new Map(
  ['\\Answered', '\\Flagged', '\\Draft', '\\Deleted', '\\Seen'].map((name) => [name.toLowerCase(), name]),
);

/** As they are kept: in RFC 9051's spelling, each once, keywords bounded, other names with `\` left out. */
export function normalized(names: readonly string[]): string[] {
  return added([], names);
}

/** Flags are compared without case (RFC 9051 2.3.2); the first spelling of a keyword stays. */
export function added(flags: readonly string[], names: readonly string[]): string[] {
  const kept = new Map(flags.map((name) => [name.toLowerCase(), name]));
  let keywords = flags.filter((name) => !name.startsWith('\\')).length;
  for (const name of names) {
    const key = name.toLowerCase();
    if (key === '' || kept.has(key)) continue;
    const known = system.get(key);
    if (known !== undefined) kept.set(key, known);
    else if (!key.startsWith('\\') && keywords < MAX_KEYWORDS) {
      kept.set(key, name);
      keywords += 1;
    }
  }
  return [...kept.values()];
}

export function applied(flags: readonly string[], change: StoreFlags): string[] {
  switch (change.action) {
    case 'set':
      return normalized(change.flags);
    case 'add':
      return added(flags, change.flags);
    case 'remove': {
      const gone = new Set(change.flags.map((name) => name.toLowerCase()));
      return flags.filter((name) => !gone.has(name.toLowerCase()));
    }
  }
}

export function same(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name) => other.includes(name));
}
