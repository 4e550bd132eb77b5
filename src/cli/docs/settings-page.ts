import { CONFIG_VARIABLE, DEFAULT_FILE, PREFIX, SECTION, variablesOf } from '../../settings/given.ts';
import { settingsOf } from '../../settings/load.ts';
import { groups } from '../../settings/setting.ts';
import type { AnySetting, Table } from '../../settings/setting.ts';
import { code, madeFrom, page, tableOf } from './markdown.ts';

/** docs/settings.md */
export function settingsPage(rows: Table): string {
  const settings = settingsOf(rows);
  return page(
    '# Settings',
    madeFrom('src/settings/table.ts'),
    introduction,
    rules,
    ...Object.entries(groups).flatMap(([group, title]) => [
      `## ${title}`,
      ...settings.filter(([, row]) => row.group === group).flatMap(([key, row]) => section(rows, key, row)),
    ]),
    '## Keys of chatmail.ini without a meaning here',
    'The file of a running chatmail relay loads as it is; these keys are noted and passed over.',
    tableOf(
      ['Key', 'Why'],
      Object.entries(rows).flatMap(([key, row]) => (row.kind === 'noted' ? [[code(key), row.why]] : [])),
    ),
  );
}

const introduction =
  'Every setting has a default; a file is needed only for what differs. It is the one that `--config` names, else ' +
  `the one that \`${CONFIG_VARIABLE}\` names, else \`${DEFAULT_FILE}\` if it is there. ` +
  '`config/chatmail.example.ini` has every key with its default. `teal config check` tells every problem at once, ' +
  '`teal config show` what is in effect and where it comes from.';

const rules = [
  `- The file is a \`chatmail.ini\`: \`key = value\` in the one section \`[${SECTION}]\`. Lines that start with \`#\` or ` +
    '`;` are comments; a line that starts with a space goes on with the value above.',
  `- Every key can be given in the environment as \`${PREFIX}<KEY>\` in capitals, and that wins over the file. An ` +
    'empty variable counts as not set.',
  `- A key or a \`${PREFIX}\` variable that is not known, and a value that is not allowed, is an error. A key that is ` +
    'set twice is one too.',
  '- Sizes count in powers of 1024: `500M` is 524288000 bytes. Relative paths start where Teal was started.',
  '- Keys, defaults and forms are those of the chatmail relay wherever it has the setting.',
].join('\n');

function section(rows: Table, key: string, row: AnySetting): string[] {
  const variables = [...variablesOf(rows)]
    .filter(([, meant]) => meant.key === key)
    .map(([name]) => code(name));
  return [
    `### ${code(key)}`,
    row.text,
    [
      `- Value: ${row.type.allowed}`,
      `- Default: ${defaultText(row)}`,
      `- Environment: ${variables.join(', ')}`,
      ...(row.acts ? [] : ['- **Has no effect in this version**: it is read and checked only']),
    ].join('\n'),
  ];
}

function defaultText(row: AnySetting): string {
  if (row.default === undefined) return `none: ${row.unset}`;
  return row.default === '' ? 'empty' : code(row.default);
}
