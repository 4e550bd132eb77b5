import type { Mailbox, MailboxStatus, Snapshot } from '../../contract.ts';
import type { Database } from '../database.ts';
import { SEEN } from '../flags.ts';
import { mailboxColumns, toMailbox } from '../rows.ts';
import type { FullMailboxRow } from '../rows.ts';

export function mailboxes(database: Database, account: number): Mailbox[] {
  return database
    .all<FullMailboxRow>(
      `SELECT ${mailboxColumns} FROM mailbox WHERE account = ? ORDER BY name != 'INBOX', name`,
      account,
    )
    .map(toMailbox);
}

export function mailboxByName(database: Database, account: number, name: string): Mailbox | undefined {
  const row = database.get<FullMailboxRow>(
    `SELECT ${mailboxColumns} FROM mailbox WHERE account = ? AND name = ?`,
    account,
    name,
  );
  return row && toMailbox(row);
}

function mailboxById(database: Database, id: number): Mailbox | undefined {
  const row = database.get<FullMailboxRow>(
    `SELECT ${mailboxColumns} FROM mailbox WHERE id = ? AND account IS NOT NULL`,
    id,
  );
  return row && toMailbox(row);
}

export function status(database: Database, id: number): MailboxStatus | undefined {
  return database.atOneInstant(() => {
    const mailbox = mailboxById(database, id);
    const counts = database.get<{ messages: number; unseen: number; size: number }>(
      `SELECT count(*) AS messages, count(*) FILTER (WHERE flags & ${SEEN} = 0) AS unseen,
         coalesce(sum(size), 0) AS size
       FROM message WHERE mailbox = ?`,
      id,
    );
    return mailbox && counts && { ...mailbox, ...counts };
  });
}

export function snapshot(database: Database, id: number): Snapshot | undefined {
  return database.atOneInstant(() => {
    const mailbox = mailboxById(database, id);
    if (!mailbox) return undefined;
    const rows = database.all<{ uid: number; seen: number }>(
      `SELECT uid, flags & ${SEEN} AS seen FROM message WHERE mailbox = ? ORDER BY uid`,
      id,
    );
    return {
      uidValidity: mailbox.uidValidity,
      uidNext: mailbox.uidNext,
      highestModseq: mailbox.highestModseq,
      uids: rows.map(({ uid }) => uid),
      firstUnseen: rows.find(({ seen }) => seen === 0)?.uid,
    };
  });
}
