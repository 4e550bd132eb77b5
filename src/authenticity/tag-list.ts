import { trimBlank } from '../message/tokens.ts';

/** Tags and values, space around both gone, in the order of the text. */
export type TagList = ReadonlyMap<string, string>;

// RFC 6376 3.2, tag-name. Names are case-sensitive and all that exist are lower case. mailauth folds case, so that
// `D=` after `d=` would name another domain to it than to us: we take no such list at all.
const tagName = /^[a-z][a-z0-9_]*$/;

/**
 * Reads `name=value; name=value` (RFC 6376 3.2), unfolded. Returns the problem in words where it is no such list; a
 * name that comes twice makes the whole list invalid (same section).
 */
export function readTagList(text: string): TagList | { readonly problem: string } {
  const tags = new Map<string, string>();
  const specs = text.split(';');
  // One semicolon may end the list.
  if (trimBlank(specs.at(-1) ?? '') === '') specs.pop();
  for (const spec of specs) {
    const equals = spec.indexOf('=');
    const name = trimBlank(spec.slice(0, Math.max(0, equals)));
    if (!tagName.test(name)) return { problem: 'tag list cannot be read' };
    if (tags.has(name)) return { problem: `tag ${name}= comes twice` };
    tags.set(name, trimBlank(spec.slice(equals + 1)));
  }
  return tags;
}
