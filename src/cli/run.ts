import type { Loaded } from '../settings/load.ts';
import { SettingsError } from '../settings/load.ts';
import { UsageError, exitCodes } from './command.ts';
import type { Command, ExitCode } from './command.ts';
import { parseCommandLine } from './command-line.ts';

/** What the commands need of the process they run in. */
export interface Surroundings {
  /** The settings, from `configPath` if one is named. Throws SettingsError. */
  readonly loadSettings: (configPath?: string) => Loaded;
  /** A line, or several, for the standard output. */
  readonly print: (text: string) => void;
  /** The same for the standard error. */
  readonly printError: (text: string) => void;
}

/** Runs what `argv` (without the program itself) asks for. Never rejects: what goes wrong is printed. */
export async function runCommandLine(
  commands: readonly Command[],
  argv: readonly string[],
  { loadSettings, print, printError }: Surroundings,
): Promise<ExitCode> {
  try {
    const { command, flags, words } = parseCommandLine(commands, argv);
    const config = flags.get('config');
    return await command.run({
      flags,
      words,
      loadSettings: () => loadSettings(typeof config === 'string' ? config : undefined),
      print,
      printError,
    });
  } catch (error) {
    if (error instanceof UsageError) {
      printError(`teal: ${error.message}`);
      printError(`Try: teal help${error.command === undefined ? '' : ` ${error.command}`}`);
      return exitCodes.usage;
    }
    if (error instanceof SettingsError) {
      for (const note of error.notes) printError(`note: ${note}`);
      for (const problem of error.problems) printError(`error: ${problem}`);
      const count = error.problems.length;
      printError(`teal: the settings have ${count === 1 ? 'one problem' : `${count} problems`}`);
      return exitCodes.failure;
    }
    printError(`teal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return exitCodes.failure;
  }
}
