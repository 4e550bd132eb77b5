import type { SignUpTokens } from '../contract.ts';
import { openPart } from './beside.ts';
import { reading } from './database.ts';
import { allSignUpTokens } from './reads/sign-up-tokens.ts';
import { addSignUpToken, removeSignUpToken } from './writes/sign-up-tokens.ts';

/** What an operator does with them. */
export type SignUpTokenList = Pick<SignUpTokens, 'add' | 'list' | 'remove'>;

/** The sign-up tokens of a data directory, for a command (beside.ts). */
export function openSqliteSignUpTokens(dataDir: string): Promise<SignUpTokenList & AsyncDisposable> {
  return openPart<SignUpTokenList>(dataDir, {
    own: (store) => store.signUpTokens,
    beside: (database) => {
      const transaction = { database };
      return {
        add: async (token) => reading(() => addSignUpToken(transaction, token)),
        list: async () => reading(() => allSignUpTokens(database)),
        remove: async (id) => reading(() => removeSignUpToken(transaction, { id })),
      };
    },
  });
}
