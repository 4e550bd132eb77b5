import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';

/** `teal serve` */
export async function serve(call: Call): Promise<ExitCode> {
  call.loadSettings();
  call.printError('teal: this version has no relay yet');
  return exitCodes.failure;
}
