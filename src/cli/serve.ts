import { once } from 'node:events';
import { createRelay } from '../relay.ts';
import type { Settings } from '../settings/table.ts';
import { prepareTrial } from '../trial/trial.ts';
import type { Trial } from '../trial/trial.ts';
import { exitCodes, UsageError } from './command.ts';
import type { Call, ExitCode } from './command.ts';

/** `teal serve`: a relay, or without mail_domain a trial of one, until SIGINT or SIGTERM. */
export async function serve(call: Call): Promise<ExitCode> {
  const { settings, sources, notes } = call.loadSettings();
  for (const note of notes) call.printError(`note: ${note}`);
  const lan = call.flags.has('lan');
  if (settings.mail_domain !== undefined) {
    if (lan)
      throw new UsageError(`--lan is for the trial; mail_domain is set to ${settings.mail_domain}`, 'serve');
    return run(settings, call);
  }
  const trial = await starting(call, () => prepareTrial({ settings, sources, lan }));
  return trial ? run(trial.settings, call, trial) : exitCodes.failure;
}

async function run(settings: Settings, call: Call, trial?: Trial): Promise<ExitCode> {
  // Asked for before anything starts: a signal that comes meanwhile is heeded too.
  const stop = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await using relay = await starting(call, () => createRelay(settings));
  if (!relay) return exitCodes.failure;
  if (trial) {
    await trial.makeAccounts(relay.login);
    call.print(trial.banner);
  }
  relay.ready();
  await stop;
  // A second signal ends it at once, as everywhere.
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  return exitCodes.ok;
}

/** What keeps a relay from starting is told in its own words; a fault of ours goes on, with its stack. */
async function starting<T>(call: Call, start: () => Promise<T>): Promise<T | undefined> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof Error) || ourFaults.some((kind) => error instanceof kind)) throw error;
    call.printError(`teal: cannot start: ${error.message}`);
    return undefined;
  }
}

const ourFaults = [TypeError, ReferenceError, RangeError, SyntaxError];
