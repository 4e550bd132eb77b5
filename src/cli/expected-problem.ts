import { StoreUnavailable } from '../store/contract.ts';
import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';

type ErrorKind = new (...parameters: never[]) => Error;

/**
 * Does what a command has to do; what goes wrong and is the operator's to mend is told in one line: a store that is away
 * or of another version, what the system says of files and networks, and errors of the given kinds. A fault of ours goes
 * on, with its stack.
 */
export async function tellingProblems(
  call: Call,
  work: () => Promise<ExitCode>,
  ...kinds: readonly ErrorKind[]
): Promise<ExitCode> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isExpected =
      error instanceof StoreUnavailable ||
      error.constructor === Error ||
      kinds.some((kind) => error instanceof kind) ||
      ('code' in error && !isFault(error));
    if (!isExpected) throw error;
    call.printError(`teal: ${error.message}`);
    return exitCodes.failure;
  }
}

/** One of ours, to be told with its stack. Node gives its own TypeErrors a code, too. */
export function isFault(error: Error): boolean {
  return [TypeError, RangeError, SyntaxError, ReferenceError].some((kind) => error instanceof kind);
}
