/** RFC 9051 2.3.2, in the RFC's own spelling. */
export const systemFlags = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const;

const spelling = new Map<string, string>(
  [...systemFlags, '\\Recent'].map((name) => [name.toLowerCase(), name]),
);

/** A flag in the spelling that stores and comparisons use: keywords as they are, undefined for an unknown `\Flag`. */
export function canonicalFlag(name: string): string | undefined {
  return name.startsWith('\\') ? spelling.get(name.toLowerCase()) : name;
}
