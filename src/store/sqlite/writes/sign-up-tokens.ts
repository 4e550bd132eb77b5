import { MAX_SIGN_UP_TOKENS, tokenRefusal } from '../../contract.ts';
import type { SignUpRequest, SignUpToken, TokenRefusal } from '../../contract.ts';
import type { Database } from '../database.ts';
import { accountRow } from '../reads/accounts.ts';
import { signUpToken } from '../reads/sign-up-tokens.ts';
import type { AccountRow } from '../rows.ts';
import type { Transaction } from '../transaction.ts';
import { createAccount } from './accounts.ts';

/** A command beside a running Teal has no more of a transaction than that. */
type WithDatabase = Pick<Transaction, 'database'>;

export function addSignUpToken(
  { database }: WithDatabase,
  token: SignUpToken,
): 'added' | 'exists' | 'too-many' {
  const { count } = database.get<{ count: number }>('SELECT count(*) AS count FROM sign_up_token') ?? {
    count: 0,
  };
  if (count >= MAX_SIGN_UP_TOKENS) return 'too-many';
  return insertSignUpToken(database, token) ? 'added' : 'exists';
}

/** Whether neither its id nor its hash was there. */
export function insertSignUpToken(
  database: Database,
  { hash, id, note, createdAt, expiresAt, uses, used }: SignUpToken,
): boolean {
  const written = database.run(
    `INSERT INTO sign_up_token (hash, id, note, created_at, expires_at, uses, used) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
    hash,
    id,
    note,
    createdAt,
    expiresAt ?? null,
    uses ?? null,
    used,
  );
  return written === 1;
}

/** Whether it was there. */
export function removeSignUpToken({ database }: WithDatabase, { id }: { id: string }): boolean {
  return database.run('DELETE FROM sign_up_token WHERE id = ?', id) === 1;
}

/** `SignUpOutcome` with the account as a row. */
export type SignUpRowOutcome =
  | { readonly kind: 'made'; readonly account: AccountRow }
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly why: TokenRefusal };

/** One transaction: who comes second for the last use finds it spent. */
export function signUp(
  transaction: Transaction,
  { hash, address, passwordHash, now }: SignUpRequest,
): SignUpRowOutcome {
  const { database } = transaction;
  const why = tokenRefusal(signUpToken(database, hash), now);
  if (why) return { kind: 'refused', why };
  if (accountRow(database, address)) return { kind: 'taken' };
  const { account } = createAccount(transaction, { address, passwordHash, now });
  database.run('UPDATE sign_up_token SET used = used + 1 WHERE hash = ?', hash);
  return { kind: 'made', account };
}
