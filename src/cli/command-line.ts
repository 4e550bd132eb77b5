import { nearest } from '../settings/nearest.ts';
import { UsageError } from './command.ts';
import type { Command } from './command.ts';

export interface CommandLine {
  readonly command: Command;
  readonly flags: ReadonlyMap<string, string | true>;
  readonly words: readonly string[];
}

/**
 * What the command line asks for. `--help` (or `-h`) anywhere asks for the help of the command beside it, `--version`
 * alone for the version; after `--` everything is a word. Throws UsageError.
 */
export function parseCommandLine(commands: readonly Command[], argv: readonly string[]): CommandLine {
  const end = argv.indexOf('--');
  const asksHelp = (end < 0 ? argv : argv.slice(0, end)).some((word) => word === '--help' || word === '-h');
  if (asksHelp) {
    const named = findCommand(commands, argv);
    return { command: get(commands, 'help'), flags: new Map(), words: named ? named.name.split(' ') : [] };
  }
  if (argv.length === 1 && argv[0] === '--version')
    return { command: get(commands, 'version'), flags: new Map(), words: [] };

  const command = findCommand(commands, argv);
  if (!command) throw unknownCommand(commands, argv);
  return { command, ...parseRest(command, argv.slice(command.name.split(' ').length)) };
}

function parseRest(command: Command, rest: readonly string[]): Omit<CommandLine, 'command'> {
  const flags = new Map<string, string | true>();
  const words: string[] = [];
  const left = [...rest];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (word === '--') {
      words.push(...left.splice(0));
    } else if (!word.startsWith('-') || word === '-') {
      words.push(word);
    } else {
      const [name, value] = readFlag(command, word, left);
      if (flags.has(name)) throw new UsageError(`--${name} is given twice`, command.name);
      flags.set(name, value);
    }
  }
  const most = command.words?.most ?? 0;
  if (words.length > most)
    throw new UsageError(
      `unexpected argument ${JSON.stringify(words[most])}: teal ${command.name} takes ${most === 0 ? 'none' : `at most ${most}`}`,
      command.name,
    );
  return { flags, words };
}

/** `--name`, `--name VALUE` (taken off `left`) or `--name=VALUE`. */
function readFlag(command: Command, word: string, left: string[]): [name: string, value: string | true] {
  const [, name = '', joined] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  const flag = command.flags.find((each) => each.name === name);
  if (!flag) {
    const near = nearest(
      name || word,
      command.flags.map((each) => each.name),
    );
    throw new UsageError(
      `unknown flag ${JSON.stringify(word)}: teal ${command.name} ${near ? `has --${near}` : 'has no flags'}`,
      command.name,
    );
  }
  if (flag.value === undefined) {
    if (joined !== undefined) throw new UsageError(`--${name} takes no value`, command.name);
    return [name, true];
  }
  // `--config --lan` has lost its file; a file of such a name can be given as --config=--lan.
  const next = joined ?? (left[0]?.startsWith('-') ? undefined : left.shift());
  if (!next) throw new UsageError(`--${name} needs a value: --${name} ${flag.value}`, command.name);
  return [name, next];
}

function findCommand(commands: readonly Command[], argv: readonly string[]): Command | undefined {
  return (
    commands.find((command) => command.name === argv.slice(0, 2).join(' ')) ??
    commands.find((command) => command.name === argv[0])
  );
}

function unknownCommand(commands: readonly Command[], argv: readonly string[]): UsageError {
  const [first] = argv;
  if (first === undefined) return new UsageError('no command is given');
  if (first.startsWith('-')) return new UsageError(`the command comes before ${JSON.stringify(first)}`);
  const names = commands.map((command) => command.name);
  const head = nearest(
    first,
    names.map((name) => name.replace(/ .*/, '')),
  );
  const family = names.filter((name) => name.startsWith(`${head} `));
  const second = argv[1]?.startsWith('-') ? undefined : argv[1];
  if (family.length > 0 && head === first && second === undefined)
    return new UsageError(`teal ${first} needs one more word: ${family.join(', ')}`);
  const said = family.length > 0 && second !== undefined ? `${first} ${second}` : first;
  const meant = family.length > 0 ? nearest(said, family) : head;
  return new UsageError(`unknown command ${JSON.stringify(said)}, the nearest is ${meant}`);
}

function get(commands: readonly Command[], name: string): Command {
  const command = commands.find((each) => each.name === name);
  if (!command) throw new UsageError(`there is no command ${name}`);
  return command;
}
