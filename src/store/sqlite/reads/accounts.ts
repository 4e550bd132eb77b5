import { MAX_VALUES_LISTED } from '../../contract.ts';
import type { Database } from '../database.ts';
import { accountColumns } from '../rows.ts';
import type { AccountRow } from '../rows.ts';

export function accountRow(database: Database, address: string): AccountRow | undefined {
  return database.get(`SELECT ${accountColumns} FROM account WHERE address = ?`, address);
}

export function accountRows(database: Database, addresses: readonly string[]): AccountRow[] {
  return database.all(
    `SELECT ${accountColumns} FROM account WHERE address IN (SELECT value FROM json_each(?))`,
    JSON.stringify(addresses),
  );
}

export function lastLoginDay(database: Database, id: number): number | undefined {
  return database.get<{ day: number }>('SELECT last_login_day AS day FROM account WHERE id = ?', id)?.day;
}

export function usedBytes(database: Database, id: number): number {
  return database.get<{ used: number }>('SELECT used FROM account WHERE id = ?', id)?.used ?? 0;
}

export function tokens(database: Database, account: number, notBefore: number): string[] {
  return database
    .all<{ token: string }>(
      'SELECT token FROM device_token WHERE account = ? AND set_at >= ? ORDER BY set_at, token',
      account,
      notBefore,
    )
    .map(({ token }) => token);
}

export function nextDue(database: Database): number | undefined {
  return database.get<{ due: number | null }>('SELECT min(due) AS due FROM push_job')?.due ?? undefined;
}

export function value(database: Database, key: string): string | undefined {
  return database.get<{ value: string }>('SELECT value FROM value WHERE key = ?', key)?.value;
}

export function valuesWith(database: Database, prefix: string): ReadonlyMap<string, string> {
  const rows = database.all<{ key: string; value: string }>(
    'SELECT key, value FROM value WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key LIMIT ?2',
    prefix,
    MAX_VALUES_LISTED,
  );
  return new Map(rows.map(({ key, value }) => [key, value]));
}
