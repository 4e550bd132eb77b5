import { checkTogether } from './check.ts';
import { givenByEnvironment, givenByFile } from './given.ts';
import type { Given, LoadInput, Source } from './given.ts';
import { quoted } from './ini.ts';
import type { AnySetting, SettingsOf, Table } from './setting.ts';
import { table } from './table.ts';

export type { LoadInput, Source } from './given.ts';

export interface LoadedOf<T extends Table> {
  readonly settings: SettingsOf<T>;
  /** Where each value comes from. */
  readonly sources: Readonly<Record<keyof SettingsOf<T>, Source>>;
  /** What is not wrong but worth knowing: keys without a meaning here, or without an effect yet. */
  readonly notes: readonly string[];
}

export type Loaded = LoadedOf<typeof table>;

/** Everything that is wrong with the settings, not just the first of it. */
export class SettingsError extends Error {
  override name = 'SettingsError';
  readonly problems: readonly string[];
  /** What `Loaded.notes` would have held. */
  readonly notes: readonly string[];

  constructor(problems: readonly string[], notes: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
    this.notes = notes;
  }
}

/** The input of this very process: the one place in src that looks at process.env. */
export function fromProcess(configPath?: string): LoadInput {
  return { configPath, env: process.env, cwd: process.cwd() };
}

/**
 * The settings: the environment wins over the file, the file over the default. The file is `configPath`, else what
 * TEAL_CONFIG names, else config/chatmail.ini if it is there. Reads, and changes nothing. Throws one SettingsError
 * with every problem there is.
 */
export function loadSettings(input: LoadInput): Loaded {
  return loadTable(table, input, checkTogether);
}

/** What several values together break or suggest; those that could not be read are missing. */
export type CheckTogether<T extends Table> = (
  settings: Partial<SettingsOf<T>>,
  describe: (key: keyof SettingsOf<T>) => string,
) => { readonly problems: readonly string[]; readonly notes: readonly string[] };

/** `loadSettings` for any table. */
export function loadTable<T extends Table>(
  rows: T,
  input: LoadInput,
  together?: CheckTogether<T>,
): LoadedOf<T> {
  const file = givenByFile(rows, input);
  const environment = givenByEnvironment(rows, input);
  const problems = [...file.problems, ...environment.problems];
  const notes = [...file.notes, ...environment.notes];

  const values: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  for (const [key, row] of settingsOf(rows)) {
    // A bad value is told even where a better one hides it: it would come to light at a worse time.
    const read = [file.given.get(key), environment.given.get(key)].flatMap((given) => {
      if (!given) return [];
      const parsed = row.type.parse(given.text, input.cwd);
      if (!parsed) problems.push(badValue(key, row, given));
      return parsed ? [{ ...parsed, source: given.source }] : [];
    });
    const chosen = read.at(-1) ?? { value: defaultOf(row, input.cwd), source: { kind: 'default' } };
    const badlyGiven = read.length === 0 && (file.given.has(key) || environment.given.has(key));
    if (!badlyGiven) values[key] = chosen.value;
    sources[key] = chosen.source;
    if (!row.acts && chosen.source.kind !== 'default' && !isDefault(row, chosen.value, input.cwd))
      notes.push(
        `${place(chosen.source)}: ${key} has no effect in this version, it is read and checked only`,
      );
  }

  // The loop above has put in, under each key, what its own type has made of the text: what SettingsOf says.
  const readable = values as Partial<SettingsOf<T>>;
  const whole = together?.(readable, (key) => describe(rows, values, sources, String(key)));
  problems.push(...(whole?.problems ?? []));
  notes.push(...(whole?.notes ?? []));
  if (problems.length > 0) throw new SettingsError(problems, notes);
  // No problems: every key is there.
  return { settings: values as SettingsOf<T>, sources: sources as LoadedOf<T>['sources'], notes };
}

/** Every setting of a table with its key, in the table's order. */
export function settingsOf(rows: Table): readonly (readonly [key: string, row: AnySetting])[] {
  return Object.entries(rows).flatMap(([key, row]) => (row.kind === 'setting' ? [[key, row] as const] : []));
}

/** `config/chatmail.ini:12`, `environment TEAL_SMTP_PORT`, `default`. */
export function place(source: Source): string {
  switch (source.kind) {
    case 'default':
      return 'default';
    case 'file':
      return `${source.file}:${source.line}`;
    case 'environment':
      return `environment ${source.variable}`;
  }
}

/** A value as one would write it; secrets and what is not set in round brackets. */
export function valueText(row: AnySetting, value: unknown): string {
  if (value === undefined)
    return row.unset === undefined ? '' : `(not set: ${row.unset.replaceAll('`', '')})`;
  return row.secret ? '(hidden)' : row.type.format(value);
}

function describe(
  rows: Table,
  values: Readonly<Record<string, unknown>>,
  sources: Readonly<Record<string, Source>>,
  key: string,
): string {
  const row = rows[key];
  const source = sources[key];
  if (row?.kind !== 'setting' || !source) return key;
  return `${key} = ${valueText(row, values[key])} (${place(source)})`;
}

function badValue(key: string, row: AnySetting, given: Given): string {
  const got = row.secret ? 'something else (not shown)' : quoted(given.text);
  const why = row.secret ? undefined : row.type.problem?.(given.text);
  return `${place(given.source)}: ${key} must be ${row.type.allowed.replaceAll('`', '')}, got ${got}${why === undefined ? '' : `: ${why}`}`;
}

function defaultOf(row: AnySetting, base: string): unknown {
  return row.default === undefined ? undefined : row.type.parse(row.default, base)?.value;
}

function isDefault(row: AnySetting, value: unknown, base: string): boolean {
  const usual = defaultOf(row, base);
  if (value === undefined || usual === undefined) return value === usual;
  return row.type.format(value) === row.type.format(usual);
}
