import { synopsis } from '../command.ts';
import type { Command } from '../command.ts';
import { code, madeFrom, page, tableOf } from './markdown.ts';

/** docs/cli.md */
export function cliPage(commands: readonly Command[]): string {
  return page(
    '# Commands',
    madeFrom('src/cli/commands.ts'),
    'In a checkout `npx teal` runs a command with the right Node; `npm start` is `teal serve`, and what follows ' +
      '`npm start --` goes to it.',
    tableOf(
      ['Exit code', 'Meaning'],
      [
        ['0', 'done'],
        ['1', 'failed; the standard error says why'],
        ['2', 'the command line cannot be understood'],
      ],
    ),
    ...commands.flatMap(section),
  );
}

function section(command: Command): string[] {
  const { words } = command;
  const items = [
    ...(words ? [`- ${code(words.name)}: ${words.text}`] : []),
    ...command.flags.map(
      (flag) => `- ${code(`--${flag.name}${flag.value ? ` ${flag.value}` : ''}`)}: ${flag.text}`,
    ),
  ];
  return [
    `## ${command.name}`,
    ['```sh', synopsis(command), '```'].join('\n'),
    `${command.summary}. ${command.text}`,
    ...(items.length > 0 ? [items.join('\n')] : []),
  ];
}
