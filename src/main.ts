import { commands } from './cli/commands.ts';
import { runCommandLine } from './cli/run.ts';
import { fromProcess, loadSettings } from './settings/load.ts';

// The process ends when nothing is left to do, never in the middle of something: only a second
// signal (cli/serve.ts) calls process.exit.
process.exitCode = await runCommandLine(commands, process.argv.slice(2), {
  loadSettings: (configPath) => loadSettings(fromProcess(configPath)),
  print: (text) => process.stdout.write(`${text}\n`),
  printError: (text) => process.stderr.write(`${text}\n`),
});
