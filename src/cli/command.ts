import type { Loaded } from '../settings/load.ts';

/** What the shell is told: 1 is a failure that was reported, 2 a command line that cannot be understood. */
export const exitCodes = { ok: 0, failure: 1, usage: 2 } as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  /** What its value is called; a flag without one stands alone. */
  readonly value?: string;
  readonly text: string;
}

/** One row of the table of commands: parsing, `teal help` and docs/cli.md come from it. */
export interface Command {
  /** One word or two: `config check`. */
  readonly name: string;
  /** What may follow the name beside flags. */
  readonly words?: { readonly name: string; readonly most: number; readonly text: string };
  readonly flags: readonly Flag[];
  /** One sentence for the list of commands, without a full stop. */
  readonly summary: string;
  /** All there is to know, in sentences. */
  readonly text: string;
  readonly run: (call: Call) => Promise<ExitCode>;
}

/** What a command is called with. */
export interface Call {
  /** `true` for a flag without a value. */
  readonly flags: ReadonlyMap<string, string | true>;
  readonly words: readonly string[];
  /** The settings, from the file that `--config` names if the command has that flag. Throws SettingsError. */
  readonly loadSettings: () => Loaded;
  /** A line, or several, for the standard output. */
  readonly print: (text: string) => void;
  /** The same for the standard error. */
  readonly printError: (text: string) => void;
}

/** The command line cannot be understood; the message says what is wrong with it. */
export class UsageError extends Error {
  override name = 'UsageError';
  /** The command whose help says more. */
  readonly command: string | undefined;

  constructor(message: string, command?: string) {
    super(message);
    this.command = command;
  }
}

/** `teal config check [--config FILE]` */
export function synopsis(command: Command): string {
  const flags = command.flags.map((flag) => `[--${flag.name}${flag.value ? ` ${flag.value}` : ''}]`);
  const words = command.words ? [`[${command.words.name}]`] : [];
  return ['teal', command.name, ...flags, ...words].join(' ');
}
