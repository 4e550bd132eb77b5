import { MAX_KEYWORDS } from '../contract.ts';

/** RFC 9051 2.3.2; \Recent is of RFC 3501 and kept nowhere. The bits are in the database: never change one. */
const system = [
  ['\\Answered', 1],
  ['\\Flagged', 2],
  ['\\Draft', 4],
  ['\\Deleted', 8],
  ['\\Seen', 16],
] as const;

export const DELETED = 8;
export const SEEN = 16;

const bitOf = new Map<string, number>(system.map(([name, bit]) => [name.toLowerCase(), bit]));

/** Flags as a row keeps them. */
export interface Packed {
  readonly flags: number;
  /** Parted by a space; RFC 9051 9 flag-keyword is an atom, so none has one inside. */
  readonly keywords: string;
}

const none: Packed = { flags: 0, keywords: '' };

/** Flags are compared without case (RFC 9051 2.3.2), the first spelling stays; other names with `\` are left out. */
export function pack(names: readonly string[]): Packed {
  return withFlags(none, names);
}

export function unpack(packed: Packed): string[] {
  const names: string[] = [];
  for (const [name, bit] of system) if (packed.flags & bit) names.push(name);
  return names.concat(split(packed.keywords));
}

export function withFlags(packed: Packed, names: readonly string[]): Packed {
  let flags = packed.flags;
  const keywords = new Map(split(packed.keywords).map((name) => [name.toLowerCase(), name]));
  for (const name of names) {
    const key = name.toLowerCase();
    flags |= bitOf.get(key) ?? 0;
    if (key === '' || key.startsWith('\\') || keywords.has(key) || keywords.size >= MAX_KEYWORDS) continue;
    keywords.set(key, name);
  }
  return { flags, keywords: [...keywords.values()].join(' ') };
}

export function withoutFlags(packed: Packed, names: readonly string[]): Packed {
  const gone = new Set(names.map((name) => name.toLowerCase()));
  let flags = packed.flags;
  for (const name of gone) flags &= ~(bitOf.get(name) ?? 0);
  const keywords = split(packed.keywords).filter((name) => !gone.has(name.toLowerCase()));
  return { flags, keywords: keywords.join(' ') };
}

export function sameFlags(one: Packed, other: Packed): boolean {
  return one.flags === other.flags && one.keywords === other.keywords;
}

function split(keywords: string): string[] {
  return keywords === '' ? [] : keywords.split(' ');
}
