import { canonicalFlag } from './wire/flags.ts';

/** Flags in one command, and of one message. */
export const MAX_FLAGS = 64;
/** Octets of one keyword. */
const MAX_KEYWORD = 100;

/** Flags as the store wants them, each once; or why they cannot be set, for a NO. */
export function readFlags(
  given: readonly string[],
): { readonly flags: readonly string[] } | { readonly problem: string } {
  if (given.length > MAX_FLAGS) return { problem: 'Too many flags' };
  const flags = new Map<string, string>();
  for (const name of given) {
    const flag = canonicalFlag(name);
    // RFC 3501 2.3.2: \Recent is the server's alone; here no message ever has it.
    if (flag === undefined || flag === '\\Recent') return { problem: 'No such system flag' };
    if (flag.length > MAX_KEYWORD) return { problem: 'Keyword too long' };
    if (!flags.has(flag.toLowerCase())) flags.set(flag.toLowerCase(), flag);
  }
  return { flags: [...flags.values()] };
}

export function isKeyword(flag: string): boolean {
  return !flag.startsWith('\\');
}
