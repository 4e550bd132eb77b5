import type { SignUpTokens } from '../contract.ts';
import type { Access } from './access.ts';
import { signUpToken } from './reads/sign-up-tokens.ts';
import { toAccount } from './rows.ts';

export function createSignUpTokens(access: Access): SignUpTokens {
  return {
    add: (token) => access.write('addSignUpToken', token),
    find: (hash) => access.local((database) => signUpToken(database, hash)),
    list: () => access.read('allSignUpTokens'),
    remove: (id) => access.write('removeSignUpToken', { id }),
    signUp: async (request) => {
      const outcome = await access.write('signUp', request);
      return outcome.kind === 'made' ? { kind: 'made', account: toAccount(outcome.account) } : outcome;
    },
  };
}
