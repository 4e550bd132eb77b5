/** RFC 9051 5.1.1: the one delimiter of levels. */
export const DELIMITER = '/';

/** UTF-8 octets of a mailbox name: what Dovecot allows on most file systems. */
const MAX_NAME = 255;
/** Levels of one name: LIST names all of those above it. */
const MAX_LEVELS = 10;

/**
 * Whether a mailbox may be made with this name. Wildcards could not be listed, control characters not shown; RFC 9051
 * 5.1 calls both unwise.
 */
export function isCreatable(name: string): boolean {
  const levels = name.split(DELIMITER);
  return (
    Buffer.byteLength(name) <= MAX_NAME &&
    levels.length <= MAX_LEVELS &&
    levels.every((level) => level !== '') &&
    !/[*%\p{Cc}\p{Cs}]/u.test(name)
  );
}

/** RFC 9051 6.3.4: a delimiter at the end says only that others will come below. */
export function withoutTrailingDelimiter(name: string): string {
  return name.endsWith(DELIMITER) ? name.slice(0, -1) : name;
}

/** The names above: `a/b/c` is below `a` and `a/b`. */
export function levelsAbove(name: string): string[] {
  const levels = name.split(DELIMITER);
  return levels.slice(1).map((_, at) => levels.slice(0, at + 1).join(DELIMITER));
}
