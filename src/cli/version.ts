import { readFileSync } from 'node:fs';
import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';

/** `teal version` */
export async function version(call: Call): Promise<ExitCode> {
  call.print(`teal ${tealVersion()} (Node ${process.versions.node})`);
  return exitCodes.ok;
}

/** The version that package.json names. */
export function tealVersion(): string {
  const file: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof file === 'object' && file !== null && 'version' in file && typeof file.version === 'string')
    return file.version;
  throw new Error('package.json names no version');
}
