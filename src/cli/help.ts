import { nearest } from '../settings/nearest.ts';
import { UsageError, exitCodes, synopsis } from './command.ts';
import type { Call, Command, ExitCode } from './command.ts';

/** `teal help [COMMAND]` */
export async function help(commands: readonly Command[], call: Call): Promise<ExitCode> {
  const name = call.words.join(' ');
  if (name === '') {
    call.print(overview(commands));
    return exitCodes.ok;
  }
  const exact = commands.filter((command) => command.name === name);
  const asked = exact.length > 0 ? exact : commands.filter((command) => command.name.startsWith(`${name} `));
  if (asked.length === 0) {
    const names = commands.map((command) => command.name);
    throw new UsageError(`unknown command ${JSON.stringify(name)}, the nearest is ${nearest(name, names)}`);
  }
  call.print(asked.map(explained).join('\n\n'));
  return exitCodes.ok;
}

function overview(commands: readonly Command[]): string {
  return [
    'teal COMMAND [FLAGS]',
    '',
    ...columns(commands.map((command) => [command.name, command.summary])),
    '',
    'teal help COMMAND says more about one of them.',
    'Exit codes: 0 done, 1 failed, 2 the command line cannot be understood.',
  ].join('\n');
}

function explained(command: Command): string {
  const { words } = command;
  const rows = [
    ...(words ? [[words.name, words.text] as const] : []),
    ...command.flags.map(
      (flag) => [`--${flag.name}${flag.value ? ` ${flag.value}` : ''}`, flag.text] as const,
    ),
  ];
  const parts = [[synopsis(command)], [`${command.summary}.`, ...wrapped(command.text)], columns(rows)];
  return parts
    .filter((part) => part.length > 0)
    .map((part) => part.join('\n'))
    .join('\n\n');
}

/** Terminals are at least this wide. */
const WIDTH = 80;

function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const left = Math.max(0, ...rows.map(([text]) => text.length)) + 4;
  return rows.flatMap(([name, text]) =>
    wrapped(text, WIDTH - left).map(
      (line, index) => `  ${(index === 0 ? name : '').padEnd(left - 2)}${line}`,
    ),
  );
}

/** `text` without its back quotes in lines of at most `width` characters. */
export function wrapped(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replaceAll('`', '').split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line += (line === '' ? '' : ' ') + word;
    }
  }
  return [...lines, line];
}
