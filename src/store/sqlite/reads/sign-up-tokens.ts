import { MAX_SIGN_UP_TOKENS } from '../../contract.ts';
import type { SignUpToken } from '../../contract.ts';
import type { Database } from '../database.ts';

const columns = `id, hash, note, created_at AS createdAt, expires_at AS expiresAt, uses, used`;

interface SignUpTokenRow extends Omit<SignUpToken, 'expiresAt' | 'uses'> {
  readonly expiresAt: number | null;
  readonly uses: number | null;
}

export function signUpToken(database: Database, hash: string): SignUpToken | undefined {
  const row = database.get<SignUpTokenRow>(`SELECT ${columns} FROM sign_up_token WHERE hash = ?`, hash);
  return row && toToken(row);
}

/** The oldest first. */
export function allSignUpTokens(database: Database): SignUpToken[] {
  return database
    .all<SignUpTokenRow>(
      `SELECT ${columns} FROM sign_up_token ORDER BY created_at, id LIMIT ?`,
      MAX_SIGN_UP_TOKENS,
    )
    .map(toToken);
}

function toToken({ expiresAt, uses, ...row }: SignUpTokenRow): SignUpToken {
  return { ...row, expiresAt: expiresAt ?? undefined, uses: uses ?? undefined };
}
