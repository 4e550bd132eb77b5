import { createRelay } from '../relay.ts';
import type { Settings } from '../settings/table.ts';
import { keepMailIn } from '../trial/keep-mail-in.ts';
import { prepareTrial } from '../trial/trial.ts';
import type { Trial } from '../trial/trial.ts';
import { exitCodes, UsageError } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import { isFault } from './expected-problem.ts';
import { startProblem } from './start-problem.ts';

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
  const trial = await starting(call, settings, () => prepareTrial({ settings, sources, lan }));
  return trial ? run(trial.settings, call, trial) : exitCodes.failure;
}

async function run(settings: Settings, call: Call, trial?: Trial): Promise<ExitCode> {
  // Asked for before anything starts: a signal that comes meanwhile is heeded too.
  const stop = stopSignal();
  await using relay = await starting(call, settings, async () => {
    await using scope = new AsyncDisposableStack();
    const started = scope.use(await createRelay(settings, trial ? { sendOut: keepMailIn } : {}));
    await trial?.makeAccounts(started.login);
    scope.move();
    return started;
  });
  if (!relay) return exitCodes.failure;
  if (trial) call.print(trial.banner);
  relay.ready();
  await stop;
  return exitCodes.ok;
}

/**
 * One Ctrl-C comes two or three times: the terminal tells every process of the group, and npm and the launcher each
 * pass it on. What comes within half a second is the same signal.
 */
const SAME_SIGNAL_MS = 500;

/** Resolves at the first signal to stop. A second one ends the process at once, as everywhere. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const hear = (_name: NodeJS.Signals, number: number) => {
      first ??= performance.now();
      if (performance.now() - first > SAME_SIGNAL_MS) process.exit(128 + number);
      resolve();
    };
    process.on('SIGINT', hear).on('SIGTERM', hear);
  });
}

/** What keeps a relay from starting is told in its own words; a fault of ours goes on, with its stack. */
async function starting<T>(call: Call, settings: Settings, start: () => Promise<T>): Promise<T | undefined> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof Error) || isFault(error)) throw error;
    call.printError(`teal: cannot start: ${startProblem(error, settings.data_dir)}`);
    return undefined;
  }
}
