import { MAX_MAILBOXES } from '../../contract.ts';
import type { AccountId, MailboxId } from '../../contract.ts';
import type { Database } from '../database.ts';
import { accountId, mailboxId, rowOf } from '../ids.ts';
import type { Transaction } from '../transaction.ts';
import { mailboxRow } from './mailbox-counters.ts';
import { addUsed } from './messages.ts';
import { dropBodyIfUnused } from './bodies.ts';

export function insertMailbox(
  database: Database,
  mailbox: { account: number; name: string; subscribed: boolean; now: number },
): void {
  // RFC 9051 2.3.1.1: a mailbox made anew under an old name needs a higher UIDVALIDITY. Ours come from one ascending
  // counter for all, never behind the clock in seconds, so that a lost and remade data directory gives higher ones too.
  const validity = database.get<{ value: number }>(
    "UPDATE counter SET value = max(value + 1, ?) WHERE name = 'uid_validity' RETURNING value",
    Math.floor(mailbox.now / 1000),
  );
  database.run(
    'INSERT INTO mailbox (account, name, uid_validity, subscribed) VALUES (?, ?, ?, ?)',
    mailbox.account,
    mailbox.name,
    validity?.value ?? null,
    mailbox.subscribed ? 1 : 0,
  );
}

export function createMailbox(
  { database }: Transaction,
  { account: id, name, now }: { account: AccountId; name: string; now: number },
): 'created' | 'exists' | 'too-many' {
  const account = rowOf(id);
  if (taken(database, account, name)) return 'exists';
  const count = database.get<{ count: number }>(
    'SELECT count(*) AS count FROM mailbox WHERE account = ?',
    account,
  );
  // An account that is gone has room for none.
  if (!count || count.count === 0 || count.count >= MAX_MAILBOXES) return 'too-many';
  insertMailbox(database, { account, name, subscribed: false, now });
  return 'created';
}

/** Out of sight at once; its messages are left to `sweepRemoved`. */
export function removeMailbox(
  { database, changes }: Transaction,
  { id }: { id: MailboxId },
): 'removed' | 'missing' {
  const mailbox = mailboxRow(database, rowOf(id));
  if (!mailbox) return 'missing';
  const used = database.get<{ bytes: number }>(
    'SELECT coalesce(sum(size), 0) AS bytes FROM message WHERE mailbox = ?',
    mailbox.id,
  );
  addUsed(database, mailbox.account, -(used?.bytes ?? 0));
  database.run('UPDATE mailbox SET account = NULL WHERE id = ?', mailbox.id);
  changes.push({
    kind: 'mailbox-removed',
    account: accountId(mailbox.account),
    mailbox: mailboxId(mailbox.id),
  });
  return 'removed';
}

export function renameMailbox(
  { database }: Transaction,
  { id, name }: { id: MailboxId; name: string },
): 'renamed' | 'exists' | 'missing' {
  const mailbox = mailboxRow(database, rowOf(id));
  if (!mailbox) return 'missing';
  const all = database.all<{ id: number; name: string }>(
    'SELECT id, name FROM mailbox WHERE account = ?',
    mailbox.account,
  );
  const old = all.find((other) => other.id === mailbox.id)?.name ?? '';
  const moving = all.filter((other) => other.id === mailbox.id || other.name.startsWith(`${old}/`));
  const renamed = moving.map((other) => ({ id: other.id, name: name + other.name.slice(old.length) }));
  const staying = new Set(all.filter((other) => !moving.includes(other)).map((other) => other.name));
  if (renamed.some((other) => staying.has(other.name))) return 'exists';
  // UNIQUE is checked row by row, and a may become a/b while a/b becomes a/b/b: all step aside first.
  for (const { id: row } of renamed)
    database.run('UPDATE mailbox SET name = ? WHERE id = ?', `\n${row}`, row);
  for (const { id: row, name: to } of renamed)
    database.run('UPDATE mailbox SET name = ? WHERE id = ?', to, row);
  return 'renamed';
}

export function subscribeMailbox(
  { database }: Transaction,
  { id, subscribed }: { id: MailboxId; subscribed: boolean },
): void {
  database.run('UPDATE mailbox SET subscribed = ? WHERE id = ?', subscribed ? 1 : 0, rowOf(id));
}

function taken(database: Database, account: number, name: string): boolean {
  return database.get('SELECT 1 FROM mailbox WHERE account = ? AND name = ?', account, name) !== undefined;
}

/** Messages in one slice of `sweepRemoved`: 20 ms at most of a transaction that deliveries wait for. */
const SLICE = 200;

/**
 * Removes a slice of what removed mailboxes still hold. False when nothing is left: call it again while it is true.
 * Slices, because a full mailbox in one piece would hold up every delivery for seconds.
 */
export function sweepRemoved(transaction: Transaction): boolean {
  const { database } = transaction;
  const mailbox = database.get<{ id: number }>('SELECT id FROM mailbox WHERE account IS NULL LIMIT 1');
  if (!mailbox) return false;
  const rows = database.all<{ uid: number; body: number }>(
    'SELECT uid, body FROM message WHERE mailbox = ? LIMIT ?',
    mailbox.id,
    SLICE,
  );
  for (const { uid, body } of rows) {
    database.run('DELETE FROM message WHERE mailbox = ? AND uid = ?', mailbox.id, uid);
    dropBodyIfUnused(transaction, body);
  }
  if (rows.length < SLICE) {
    database.run('DELETE FROM expunged WHERE mailbox = ?', mailbox.id);
    database.run('DELETE FROM mailbox WHERE id = ?', mailbox.id);
  }
  return true;
}
