import type { Copied, MailboxId } from '../../contract.ts';
import { unpack } from '../flags.ts';
import { accountId, mailboxId, rowOf } from '../ids.ts';
import { messageColumns } from '../rows.ts';
import type { MessageRow } from '../rows.ts';
import type { Transaction } from '../transaction.ts';
import { mailboxRow, nextUid } from './mailbox-counters.ts';
import { addUsed, insertMessage, removeMessages } from './messages.ts';

export interface CopyArguments {
  readonly from: MailboxId;
  readonly uids: readonly number[];
  readonly to: MailboxId;
  readonly move: boolean;
  readonly now: number;
  readonly origin: string | undefined;
}

/** Both mailboxes must be of one account; a `to` of another is missing. */
export function copy(
  transaction: Transaction,
  { from, uids, to, move, now, origin }: CopyArguments,
): Copied | 'over-quota' | 'missing' {
  const { database, changes, quota } = transaction;
  const source = mailboxRow(database, rowOf(from));
  const target = mailboxRow(database, rowOf(to));
  if (!source || target?.account !== source.account) return 'missing';
  const rows = database.all<MessageRow & { body: number }>(
    `SELECT ${messageColumns}, m.body FROM message m
     WHERE m.mailbox = ? AND m.uid IN (SELECT value FROM json_each(?)) ORDER BY m.uid`,
    source.id,
    JSON.stringify(uids),
  );
  if (!move) {
    const account = database.get<{ used: number }>('SELECT used FROM account WHERE id = ?', source.account);
    const bytes = rows.reduce((sum, { size }) => sum + size, 0);
    if (bytes > 0 && (account?.used ?? 0) + bytes > quota) return 'over-quota';
    addUsed(database, source.account, bytes);
  }
  const where = { account: accountId(target.account), mailbox: mailboxId(target.id) };
  const made = rows.map((row) => {
    const { uid, modseq } = nextUid(database, target.id);
    insertMessage(database, { ...row, mailbox: target.id, uid, modseq, saveDate: now });
    const flags = unpack(row);
    changes.push({
      kind: 'exists',
      ...where,
      modseq,
      uid,
      flags,
      ...(origin === undefined ? {} : { origin }),
    });
    return uid;
  });
  if (move) removeMessages(transaction, source, rows, { origin, keepsUsed: true });
  return { uidValidity: target.uidValidity, source: rows.map(({ uid }) => uid), target: made };
}
