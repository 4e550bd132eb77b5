import { place, settingsOf, valueText } from '../settings/load.ts';
import type { Source } from '../settings/load.ts';
import { groups } from '../settings/setting.ts';
import type { Group, Table } from '../settings/setting.ts';
import { table } from '../settings/table.ts';
import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';

/** `teal config show` */
export async function configShow(call: Call): Promise<ExitCode> {
  call.print(shownSettings(table, call.loadSettings()));
  return exitCodes.ok;
}

/** Sources start here where the value leaves room. */
const SOURCE_COLUMN = 56;

/** `key = value (source)` for each setting of `rows`, in groups, secrets hidden. */
export function shownSettings(
  rows: Table,
  {
    settings,
    sources,
  }: { settings: Readonly<Record<string, unknown>>; sources: Readonly<Record<string, Source>> },
): string {
  const lines: string[] = [];
  let group: Group | undefined;
  for (const [key, row] of settingsOf(rows)) {
    if (row.group !== group) lines.push(...(group ? [''] : []), `# ${groups[row.group]}`);
    group = row.group;
    const [first = '', ...more] = `${key} = ${valueText(row, settings[key])}`.split('\n');
    const source = place(sources[key] ?? { kind: 'default' });
    lines.push(`${first.padEnd(SOURCE_COLUMN)} (${source})`, ...more.map((line) => `    ${line}`));
  }
  return lines.join('\n');
}
