import { nearest } from '../settings/nearest.ts';
import { UsageError, exitCodes, synopsis } from './command.ts';
import type { Call, Command, ExitCode } from './command.ts';
import { TERMINAL_WIDTH, wrapped } from './wrap.ts';

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
  const parts = [
    [synopsis(command)],
    [`${command.summary}.`, ...wrapped(command.text, TERMINAL_WIDTH)],
    columns(rows),
  ];
  return parts
    .filter((part) => part.length > 0)
    .map((part) => part.join('\n'))
    .join('\n\n');
}

function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const left = Math.max(0, ...rows.map(([text]) => text.length)) + 4;
  return rows.flatMap(([name, text]) =>
    wrapped(text, TERMINAL_WIDTH - left).map(
      (line, index) => `  ${(index === 0 ? name : '').padEnd(left - 2)}${line}`,
    ),
  );
}
