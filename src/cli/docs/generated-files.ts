import { table } from '../../settings/table.ts';
import { commands } from '../commands.ts';
import { cliPage } from './cli-page.ts';
import { errorsPage } from './errors-page.ts';
import { exampleFile } from './example-file.ts';
import { metricsPage } from './metrics-page.ts';
import { settingsPage } from './settings-page.ts';

/** Every file of the repository that is made from code, by its path. A test compares them with what is there. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['config/chatmail.example.ini', exampleFile(table)],
    ['docs/cli.md', cliPage(commands)],
    ['docs/errors.md', errorsPage()],
    ['docs/metrics.md', metricsPage()],
    ['docs/settings.md', settingsPage(table)],
  ]);
}
