import type { ValueType } from './value-types.ts';

/** Sections of the example file and of docs/settings.md, in their order. */
export const groups = {
  domain: 'Domain',
  accounts: 'Accounts and their limits',
  system: 'Limits of the whole relay',
  certificates: 'Certificates',
  federation: 'Mail to other relays',
  network: 'Addresses and ports',
  imap: 'IMAP',
  data: 'Data, push and log',
  web: 'Web pages and clients',
  privacy: 'Privacy policy',
} as const;

export type Group = keyof typeof groups;

/** One row of the table: all there is to know about a setting. */
export interface Setting<T, D extends string | undefined> {
  readonly kind: 'setting';
  readonly group: Group;
  readonly type: ValueType<T>;
  /** As one would write it in the file; undefined where the setting has no value unless given. */
  readonly default: D;
  /** Where there is no default: what then holds. */
  readonly unset?: string;
  /** Where there is no default: a value for the example file. */
  readonly example?: string;
  /** What it does, in sentences; used in the example file and in docs/settings.md. */
  readonly text: string;
  /** False while the feature behind it is not built: it is read and checked, and that is all. */
  readonly acts: boolean;
  /** Never printed; may also come from a file named by TEAL_<KEY>_FILE. */
  readonly secret: boolean;
  /** Names in the environment beside TEAL_<KEY>. */
  readonly aliases: readonly string[];
}

/** A key of upstream's chatmail.ini that Teal has no use for: it loads, with a note. */
export interface Noted {
  readonly kind: 'noted';
  /** Why: continues the sentence "KEY has no meaning in Teal: ". */
  readonly why: string;
}

export type AnySetting = Setting<unknown, string | undefined>;
export type Table = Readonly<Record<string, AnySetting | Noted>>;

/** The values of a table's settings, each under its own key. */
export type SettingsOf<T extends Table> = {
  readonly [K in keyof T as T[K] extends Noted ? never : K]: T[K] extends Setting<infer V, infer D>
    ? D extends undefined
      ? V | undefined
      : V
    : never;
};

type Row<T, D extends string | undefined> = Pick<Setting<T, D>, 'group' | 'type' | 'text'> &
  Partial<Pick<Setting<T, D>, 'acts' | 'secret' | 'aliases'>>;

/** A setting that always has a value. */
export function setting<T>(row: Row<T, string> & { readonly default: string }): Setting<T, string> {
  return { kind: 'setting', acts: true, secret: false, aliases: [], ...row };
}

/** A setting that may be left out; `unset` says what that means. */
export function optionalSetting<T>(
  row: Row<T, undefined> & { readonly unset: string; readonly example: string },
): Setting<T, undefined> {
  return { kind: 'setting', acts: true, secret: false, aliases: [], default: undefined, ...row };
}

export function noted(why: string): Noted {
  return { kind: 'noted', why };
}
