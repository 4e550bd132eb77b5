import { DEFAULT_FILE, SECTION } from '../../settings/given.ts';
import { settingsOf } from '../../settings/load.ts';
import { groups } from '../../settings/setting.ts';
import type { AnySetting, Table } from '../../settings/setting.ts';
import { wrapped } from '../wrap.ts';

/** config/chatmail.example.ini: every setting, commented out, with its default. It loads as it is. */
export function exampleFile(rows: Table): string {
  const settings = settingsOf(rows);
  return [
    ...commented(
      `Settings of Teal. Copy this file to ${DEFAULT_FILE} and take the # away from what you change; what is left ` +
        'commented out has the value shown. docs/settings.md says more. Made by npm run docs from ' +
        'src/settings/table.ts.',
    ),
    '',
    `[${SECTION}]`,
    ...Object.entries(groups).flatMap(([group, title]) => [
      '',
      '#',
      `# ${title}`,
      '#',
      ...settings.filter(([, row]) => row.group === group).flatMap(([key, row]) => entry(key, row)),
    ]),
    '',
  ].join('\n');
}

function entry(key: string, row: AnySetting): string[] {
  return [
    '',
    ...commented(row.text),
    ...(row.default === undefined ? commented(`When not set: ${row.unset}.`) : []),
    ...(row.acts ? [] : commented('Has no effect in this version: it is read and checked only.')),
    `#${key} = ${row.default ?? row.example ?? ''}`.trimEnd(),
  ];
}

function commented(text: string): string[] {
  return wrapped(text, 98).map((line) => `# ${line}`);
}
