import type { MailboxId, Message, StoreFlags } from '../../contract.ts';
import { pack, sameFlags, unpack, withFlags, withoutFlags } from '../flags.ts';
import type { Packed } from '../flags.ts';
import { accountId, mailboxId, rowOf } from '../ids.ts';
import { messageColumns, toMessage } from '../rows.ts';
import type { MessageRow } from '../rows.ts';
import type { Transaction } from '../transaction.ts';
import { mailboxRow, nextModseq } from './mailbox-counters.ts';

export interface StoreFlagsArguments {
  readonly mailbox: MailboxId;
  readonly uids: readonly number[];
  readonly change: StoreFlags;
  readonly origin: string | undefined;
}

export function storeFlags(
  { database, changes }: Transaction,
  { mailbox: id, uids, change, origin }: StoreFlagsArguments,
): { changed: Message[]; refused: number[] } {
  const changed: Message[] = [];
  const refused: number[] = [];
  const told: { uid: number; flags: readonly string[] }[] = [];
  const mailbox = mailboxRow(database, rowOf(id));
  if (!mailbox) return { changed, refused };
  let modseq: number | undefined;
  const rows = database.all<MessageRow>(
    `SELECT ${messageColumns} FROM message m
     WHERE m.mailbox = ? AND m.uid IN (SELECT value FROM json_each(?)) ORDER BY m.uid`,
    mailbox.id,
    JSON.stringify(uids),
  );
  for (const row of rows) {
    if (change.unchangedSince !== undefined && row.modseq > change.unchangedSince) {
      refused.push(row.uid);
      continue;
    }
    const after = applied(row, change);
    if (sameFlags(row, after)) {
      changed.push(toMessage(row));
      continue;
    }
    modseq ??= nextModseq(database, mailbox.id);
    database.run(
      'UPDATE message SET flags = ?, keywords = ?, modseq = ? WHERE mailbox = ? AND uid = ?',
      after.flags,
      after.keywords,
      modseq,
      mailbox.id,
      row.uid,
    );
    changed.push(toMessage({ ...row, ...after, modseq }));
    told.push({ uid: row.uid, flags: unpack(after) });
  }
  if (modseq !== undefined)
    changes.push({
      kind: 'flags',
      account: accountId(mailbox.account),
      mailbox: mailboxId(mailbox.id),
      modseq,
      messages: told,
      ...(origin === undefined ? {} : { origin }),
    });
  return { changed, refused };
}

function applied(row: Packed, { action, flags }: StoreFlags): Packed {
  switch (action) {
    case 'set':
      return pack(flags);
    case 'add':
      return withFlags(row, flags);
    case 'remove':
      return withoutFlags(row, flags);
  }
}
