import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseIni } from './ini.ts';
import { nearest } from './nearest.ts';
import type { Table } from './setting.ts';

/** Read when none is named, if it is there. */
export const DEFAULT_FILE = 'config/chatmail.ini';
/** The one section of the file, as upstream has it. */
export const SECTION = 'params';
export const PREFIX = 'TEAL_';
export const CONFIG_VARIABLE = 'TEAL_CONFIG';

export interface LoadInput {
  /** The file that `--config` names; it must be there. */
  readonly configPath?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where relative paths start. */
  readonly cwd: string;
}

/** Where a value comes from; `file` is the path as it was given. */
export type Source =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'environment'; readonly variable: string };

/** What somebody has written for a key, not yet read as a value. */
export interface Given {
  readonly text: string;
  readonly source: Source;
}

export interface AllGiven {
  readonly given: ReadonlyMap<string, Given>;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** What the file says, by key. */
export function givenByFile(rows: Table, input: LoadInput): AllGiven {
  const given = new Map<string, Given>();
  const problems: string[] = [];
  const notes: string[] = [];
  const named = input.configPath ?? (input.env[CONFIG_VARIABLE] || undefined);
  const file = named ?? DEFAULT_FILE;

  const content = readText(resolve(input.cwd, file));
  if ('problem' in content) {
    const isFine = named === undefined && content.missing;
    return { given, problems: isFine ? [] : [`${file}: ${content.problem}`], notes };
  }

  const ini = parseIni(content.text, SECTION);
  problems.push(...ini.problems.map(({ line, text }) => `${file}:${line}: ${text}`));
  for (const { key, value, line } of ini.entries) {
    const row = Object.hasOwn(rows, key) ? rows[key] : undefined;
    if (row?.kind === 'setting') given.set(key, { text: value, source: { kind: 'file', file, line } });
    else if (row) notes.push(`${file}:${line}: ${key} has no meaning in Teal: ${row.why}`);
    else
      problems.push(`${file}:${line}: unknown key ${key}, the nearest is ${nearest(key, Object.keys(rows))}`);
  }
  return { given, problems, notes };
}

/**
 * What the environment says, by key. An empty variable is one that is not set: docker compose hands on what its own
 * environment lacks as empty.
 */
export function givenByEnvironment(rows: Table, input: LoadInput): AllGiven {
  const given = new Map<string, Given>();
  const problems: string[] = [];
  const notes: string[] = [];
  const variables = variablesOf(rows);

  for (const [variable, content] of Object.entries(input.env)) {
    if (!content || variable === CONFIG_VARIABLE) continue;
    const meant = variables.get(variable);
    if (!meant) {
      if (variable.startsWith(PREFIX))
        problems.push(
          `environment ${variable}: unknown variable, the nearest is ${nearest(variable, variables.keys())}`,
        );
      continue;
    }
    const row = rows[meant.key];
    if (row?.kind === 'noted') {
      notes.push(`environment ${variable}: ${meant.key} has no meaning in Teal: ${row.why}`);
      continue;
    }
    const value = meant.isFile ? readSecret(resolve(input.cwd, content)) : { text: content.trim() };
    if ('problem' in value) {
      problems.push(`environment ${variable}: ${content}: ${value.problem}`);
      continue;
    }
    const other = given.get(meant.key);
    if (other && other.text !== value.text && other.source.kind === 'environment')
      problems.push(`environment ${variable}: says something else than ${other.source.variable}`);
    else given.set(meant.key, { text: value.text, source: { kind: 'environment', variable } });
  }
  return { given, problems, notes };
}

/** Every name that the environment may hold, with the key it stands for. */
export function variablesOf(
  rows: Table,
): ReadonlyMap<string, { readonly key: string; readonly isFile: boolean }> {
  const variables = new Map<string, { key: string; isFile: boolean }>();
  for (const [key, row] of Object.entries(rows)) {
    const name = PREFIX + key.toUpperCase();
    variables.set(name, { key, isFile: false });
    if (row.kind === 'noted') continue;
    for (const alias of row.aliases) variables.set(alias, { key, isFile: false });
    if (row.secret) variables.set(`${name}_FILE`, { key, isFile: true });
  }
  return variables;
}

/** Far above any file of settings, and below what would hurt. */
const MAX_FILE = 1024 * 1024;

type FileText = { readonly text: string } | { readonly problem: string; readonly missing: boolean };

function readText(file: string): FileText {
  try {
    const bytes = readFileSync(file);
    if (bytes.length > MAX_FILE) return { problem: `is larger than ${MAX_FILE} bytes`, missing: false };
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return { problem: 'there is no such file', missing: true };
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { problem: 'is not UTF-8 text', missing: false };
    return { problem: `cannot be read (${typeof code === 'string' ? code : String(error)})`, missing: false };
  }
}

/** The whole file but the line end that editors put behind it. */
function readSecret(file: string): FileText {
  const content = readText(file);
  return 'text' in content ? { text: content.text.replace(/\r?\n$/, '') } : content;
}
