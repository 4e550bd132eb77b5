import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';

/** `teal config check`: problems leave as a SettingsError, which run.ts prints like any command's. */
export async function configCheck(call: Call): Promise<ExitCode> {
  const { settings, notes } = call.loadSettings();
  for (const note of notes) call.print(`note: ${note}`);
  call.print(
    settings.mail_domain === undefined
      ? 'The settings are in order. There is no mail_domain: teal serve will run a trial'
      : `The settings of ${settings.mail_domain} are in order`,
  );
  return exitCodes.ok;
}
