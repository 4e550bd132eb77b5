import type { SignUpTokens } from '../contract.ts';
import { openForWriting, reading } from './database.ts';
import { pathsOf } from './directory.ts';
import { DirectoryTaken } from './lock.ts';
import { checkIsNewest } from './migrate.ts';
import { openSqliteStore } from './open.ts';
import { allSignUpTokens } from './reads/sign-up-tokens.ts';
import { addSignUpToken, removeSignUpToken } from './writes/sign-up-tokens.ts';

/** What an operator does with them. */
export type SignUpTokenList = Pick<SignUpTokens, 'add' | 'list' | 'remove'>;

/**
 * The sign-up tokens of a data directory, for a command. Where a Teal is running with it, they are read and written
 * beside it. Where none is, the store is made if it is missing.
 */
export async function openSqliteSignUpTokens(dataDir: string): Promise<SignUpTokenList & AsyncDisposable> {
  try {
    const store = await openSqliteStore({ dataDir, quota: 0, onChange: () => {} });
    return { ...store.signUpTokens, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  } catch (error) {
    if (error instanceof DirectoryTaken) return openBeside(pathsOf(dataDir).database);
    throw error;
  }
}

function openBeside(path: string): SignUpTokenList & AsyncDisposable {
  using opening = new DisposableStack();
  const database = opening.use(openForWriting(path));
  checkIsNewest(database);
  const transaction = { database };
  const open = opening.move();
  return {
    // Each write is one statement, and so a transaction of its own, for which that Teal waits.
    add: async (token) => reading(() => addSignUpToken(transaction, token)),
    list: async () => reading(() => allSignUpTokens(database)),
    remove: async (id) => reading(() => removeSignUpToken(transaction, { id })),
    [Symbol.asyncDispose]: async () => open.dispose(),
  };
}
