/** MongoDB's number for a value that a unique index has already. */
const DUPLICATE_KEY = 11000;

/** Whether a write was refused because another document has the same key (of several in one bulk: any of them). */
export function isDuplicate(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === DUPLICATE_KEY;
}
