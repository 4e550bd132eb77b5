import type { AccountId } from '../../contract.ts';
import type { Database } from '../database.ts';
import { accountId, rowOf } from '../ids.ts';
import { startOfDay } from '../rows.ts';
import type { AccountRow } from '../rows.ts';
import { accountRow } from '../reads/accounts.ts';
import type { Transaction } from '../transaction.ts';
import { insertMailbox } from './mailboxes.ts';
import { dropTokens } from './push-jobs.ts';

export interface CreateAccountArguments {
  readonly address: string;
  readonly passwordHash: string;
  readonly now: number;
}

export function createAccount(
  { database }: Transaction,
  { address, passwordHash, now }: CreateAccountArguments,
): { account: AccountRow; created: boolean } {
  const row = database.get<{ id: number }>(
    `INSERT INTO account (address, password_hash, created_day, last_login_day) VALUES (?1, ?2, ?3, ?3)
     ON CONFLICT DO NOTHING RETURNING id`,
    address,
    passwordHash,
    startOfDay(now),
  );
  if (row) insertMailbox(database, { account: row.id, name: 'INBOX', subscribed: true, now });
  const account = accountRow(database, address);
  if (!account) throw new Error('the account just made is not there');
  return { account, created: row !== undefined };
}

export function setPasswordHash(
  { database }: Transaction,
  { id, passwordHash }: { id: AccountId; passwordHash: string },
): void {
  database.run('UPDATE account SET password_hash = ? WHERE id = ?', passwordHash, rowOf(id));
}

export function touchAccount({ database }: Transaction, { id, day }: { id: AccountId; day: number }): void {
  database.run(
    'UPDATE account SET last_login_day = ?1 WHERE id = ?2 AND last_login_day < ?1',
    day,
    rowOf(id),
  );
}

export function setAcceptsCleartext(
  { database }: Transaction,
  { id, accepts }: { id: AccountId; accepts: boolean },
): void {
  database.run('UPDATE account SET accepts_cleartext = ? WHERE id = ?', accepts ? 1 : 0, rowOf(id));
}

/** Out of sight at once; the messages of its mailboxes are left to `sweepRemoved`. */
export function removeAccount({ database, changes }: Transaction, { id }: { id: AccountId }): void {
  const account = rowOf(id);
  dropTokens(database, account, 'SELECT token FROM device_token WHERE account = ?1');
  detachMailboxes(database, account);
  if (database.run('DELETE FROM account WHERE id = ?', account) > 0)
    changes.push({ kind: 'account-removed', account: accountId(account) });
}

function detachMailboxes(database: Database, account: number): void {
  database.run('UPDATE mailbox SET account = NULL WHERE account = ?', account);
}
