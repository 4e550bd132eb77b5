import { MAX_TOKENS, TOKEN_LIFE } from '../../contract.ts';
import type { AccountId, PushJob, PushOutcome } from '../../contract.ts';
import type { Database } from '../database.ts';
import { rowOf } from '../ids.ts';
import type { Transaction } from '../transaction.ts';

export interface AddTokenArguments {
  readonly account: AccountId;
  readonly token: string;
  readonly now: number;
}

export function addToken({ database }: Transaction, { account: id, token, now }: AddTokenArguments): void {
  const account = rowOf(id);
  if (!database.get('SELECT 1 FROM account WHERE id = ?', account)) return;
  database.run(
    `INSERT INTO device_token (account, token, set_at) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET set_at = excluded.set_at`,
    account,
    token,
    now,
  );
  dropTokens(
    database,
    account,
    `SELECT token FROM device_token WHERE account = ?1 AND (set_at < ?2 OR token IN (
       SELECT token FROM device_token WHERE account = ?1 ORDER BY set_at DESC, token = ?3 DESC LIMIT -1 OFFSET ?4))`,
    now - TOKEN_LIFE,
    token,
    MAX_TOKENS,
  );
}

/** Removes those of the account's tokens that `select` (?1 is the account) names, and jobs that nobody's token is for. */
export function dropTokens(
  database: Database,
  account: number,
  select: string,
  ...parameters: readonly (string | number)[]
): void {
  for (const { token } of database.all<{ token: string }>(select, account, ...parameters)) {
    database.run('DELETE FROM device_token WHERE account = ? AND token = ?', account, token);
    database.run(
      'DELETE FROM push_job WHERE token = ?1 AND NOT EXISTS (SELECT 1 FROM device_token WHERE token = ?1)',
      token,
    );
  }
}

/**
 * A message came for the account: each of its tokens has a job now. A job nobody has claimed covers the message as it
 * is; one that waits for another try starts anew, at once; one that waits out a burst (no failed tries) keeps its time.
 */
export function pushTo({ database, changes }: Transaction, account: number, now: number): void {
  const jobs = database.all<{ due: number }>(
    `INSERT INTO push_job (token, attempts, since, due, claim, again)
       SELECT token, 0, ?2, ?2, '', 0 FROM device_token WHERE account = ?1 AND set_at >= ?3
     ON CONFLICT DO UPDATE SET
       since = excluded.since,
       again = claim != '',
       due = CASE WHEN claim = '' AND attempts > 0 THEN min(due, excluded.due) ELSE due END,
       attempts = CASE WHEN claim = '' THEN 0 ELSE attempts END
     RETURNING due`,
    account,
    now,
    now - TOKEN_LIFE,
  );
  if (jobs.some(({ due }) => due <= now)) changes.push({ kind: 'push' });
}

export interface ClaimArguments {
  readonly now: number;
  readonly limit: number;
  readonly leaseMs: number;
}

/** A claim that was never settled (the process died) is up again when its lease ends. */
export function claimJobs({ database }: Transaction, { now, limit, leaseMs }: ClaimArguments): PushJob[] {
  return database
    .all<PushJob & { due: number }>(
      `UPDATE push_job SET
         claim = lower(hex(randomblob(8))),
         due = ?1 + ?2,
         attempts = CASE WHEN again THEN 0 ELSE attempts END,
         again = 0
       WHERE token IN (SELECT token FROM push_job WHERE due <= ?1 ORDER BY due LIMIT ?3)
       RETURNING token, attempts, since, claim`,
      now,
      leaseMs,
      limit,
    )
    .map(({ token, attempts, since, claim }) => ({ token, attempts, since, claim }))
    .sort((one, other) => one.since - other.since);
}

export interface SettleArguments {
  readonly job: PushJob;
  readonly outcome: PushOutcome;
}

export function settleJob({ database }: Transaction, { job, outcome }: SettleArguments): void {
  const mine = database.get<{ again: number }>(
    'SELECT again FROM push_job WHERE token = ? AND claim = ?',
    job.token,
    job.claim,
  );
  if (!mine) return;
  if (outcome.kind === 'gone') {
    database.run('DELETE FROM device_token WHERE token = ?', job.token);
    database.run('DELETE FROM push_job WHERE token = ?', job.token);
  } else if (mine.again) {
    schedule(database, job.token, 0, outcome.againAt);
  } else if (outcome.kind === 'retry') {
    schedule(database, job.token, job.attempts + 1, outcome.at);
  } else {
    database.run('DELETE FROM push_job WHERE token = ?', job.token);
  }
}

function schedule(database: Database, token: string, attempts: number, due: number): void {
  database.run(
    "UPDATE push_job SET attempts = ?, due = ?, claim = '', again = 0 WHERE token = ?",
    attempts,
    due,
    token,
  );
}
