/** A `key = value` of the file; `line` counts from 1 and is where the key stands. */
export interface IniEntry {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

export interface IniProblem {
  readonly line: number;
  readonly text: string;
}

export interface Ini {
  /** Each key once, in the order of the file. */
  readonly entries: readonly IniEntry[];
  readonly problems: readonly IniProblem[];
}

/**
 * Reads a file as upstream does (the Python package iniconfig), so that one that works there reads the same here: a
 * line that starts with `#` or `;` is a comment, there are no comments after a value, `=` or else `:` ends the key, a
 * line that starts with white space goes on with the value above, and nothing within a value is replaced: `%` and
 * `{}` are themselves. Everything must be in `[section]`. Never throws; what cannot be read is in `problems`.
 */
export function parseIni(text: string, section: string): Ini {
  const entries = new Map<string, { key: string; value: string; line: number }>();
  const problems: IniProblem[] = [];
  let current: { value: string } | undefined;
  let place: 'before' | 'inside' | 'elsewhere' = 'before';
  let seen = false;

  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const line = index + 1;
    const content = raw.trimEnd();
    if (content === '' || /^\s*[#;]/.test(content)) continue;

    if (content.startsWith('[')) {
      const name = sectionName(content);
      current = undefined;
      place = name === section ? 'inside' : 'elsewhere';
      if (name === undefined) problems.push({ line, text: `expected [${section}], got ${quoted(content)}` });
      else if (place === 'elsewhere')
        problems.push({ line, text: `unknown section [${name}]: every setting belongs in [${section}]` });
      else if (seen) problems.push({ line, text: `section [${section}] is there a second time` });
      seen ||= place === 'inside';
      continue;
    }

    if (/^\s/.test(content)) {
      if (current) current.value += (current.value === '' ? '' : '\n') + content.trim();
      else if (place !== 'elsewhere')
        problems.push({
          line,
          text: `a line that starts with white space goes on with a value, and there is none`,
        });
      continue;
    }

    const entry = keyAndValue(content);
    // What stands in a section that was refused as a whole is not refused again line by line.
    current = { value: '' };
    if (place === 'elsewhere') continue;
    if (place === 'before') {
      problems.push({ line, text: `expected [${section}] above the first setting` });
      place = 'inside';
    }
    if (!entry) {
      problems.push({ line, text: `expected KEY = VALUE, got ${quoted(content)}` });
      continue;
    }
    const first = entries.get(entry.key);
    if (first) {
      problems.push({ line, text: `${entry.key} is set a second time, first in line ${first.line}` });
      continue;
    }
    const kept = { ...entry, line };
    entries.set(entry.key, kept);
    current = kept;
  }
  return { entries: [...entries.values()], problems };
}

/** As much of a value as an error shows. */
const MAX_QUOTED = 100;

/** `text` in quotation marks, cut, control characters escaped: fit for one line on a terminal. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}

/** iniconfig allows a comment behind a section, and there alone. */
function sectionName(content: string): string | undefined {
  const name = content.replace(/[#;].*$/, '').trimEnd();
  return name.endsWith(']') ? name.slice(1, -1) : undefined;
}

/** iniconfig: `=` parts key and value, unless a `:` stands before it. */
function keyAndValue(content: string): { key: string; value: string } | undefined {
  const match = /^([^=:]*)[=:](.*)$/s.exec(content);
  const key = match?.[1]?.trim();
  return key ? { key, value: (match?.[2] ?? '').trim() } : undefined;
}
