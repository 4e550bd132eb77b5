import { QUOTA_TRIM_ABOVE, QUOTA_TRIM_SPARES, QUOTA_TRIM_TO } from '../../contract.ts';
import type { AccountId, Appended, DeliveryOutcome, MailboxId, Outgoing } from '../../contract.ts';
import { pack, unpack } from '../flags.ts';
import { accountId, mailboxId, rowOf } from '../ids.ts';
import type { Transaction } from '../transaction.ts';
import { bodySize, insertBody } from './bodies.ts';
import type { NewBody } from './bodies.ts';
import { inboxRow, mailboxRow, nextUid } from './mailbox-counters.ts';
import type { MailboxRow } from './mailbox-counters.ts';
import { addUsed, insertMessage, removeMessages } from './messages.ts';
import { pushTo } from './push-jobs.ts';
import { putInQueue } from './queue.ts';

export interface AcceptArguments {
  readonly now: number;
  readonly body: NewBody;
  readonly deliveries: readonly {
    readonly account: AccountId;
    readonly push: boolean;
    readonly flags: readonly string[];
  }[];
  readonly outgoing?: Outgoing | undefined;
}

/** `kept` says whether a row names the body now; where none does, its file is the caller's to remove. */
export interface AcceptResult {
  readonly outcomes: readonly DeliveryOutcome[];
  readonly kept: boolean;
}

export function accept(
  transaction: Transaction,
  { now, body, deliveries, outgoing }: AcceptArguments,
): AcceptResult {
  const { database } = transaction;
  const size = bodySize(body);
  let bodyId: number | undefined;
  const outcomes = deliveries.map(({ account: id, push, flags }): DeliveryOutcome => {
    const inbox = inboxRow(database, rowOf(id));
    if (!inbox) return { kind: 'no-account' };
    if (!makeRoom(transaction, inbox, size, now)) return { kind: 'over-quota' };
    bodyId ??= insertBody(database, body);
    const placed = place(transaction, inbox, { body, bodyId, flags, internalDate: now, now });
    if (push) pushTo(transaction, inbox.account, now);
    return { kind: 'delivered', mailbox: mailboxId(inbox.id), ...placed };
  });
  if (outgoing) putInQueue(transaction, (bodyId ??= insertBody(database, body)), outgoing, now);
  return { outcomes, kept: bodyId !== undefined };
}

export interface AppendArguments {
  readonly mailbox: MailboxId;
  readonly now: number;
  readonly body: NewBody;
  readonly flags: readonly string[];
  readonly internalDate: number;
}

export function append(
  transaction: Transaction,
  { mailbox: id, now, body, flags, internalDate }: AppendArguments,
): Appended | 'over-quota' | 'missing' {
  const { database, quota } = transaction;
  const mailbox = mailboxRow(database, rowOf(id));
  if (!mailbox) return 'missing';
  if (used(transaction, mailbox.account) + bodySize(body) > quota) return 'over-quota';
  const bodyId = insertBody(database, body);
  const { uid } = place(transaction, mailbox, { body, bodyId, flags, internalDate, now });
  return { uidValidity: mailbox.uidValidity, uid };
}

/** Puts a row for the body into the mailbox and tells it. */
function place(
  { database, changes }: Transaction,
  mailbox: MailboxRow,
  message: { body: NewBody; bodyId: number; flags: readonly string[]; internalDate: number; now: number },
): { uid: number; modseq: number } {
  const { uid, modseq } = nextUid(database, mailbox.id);
  const size = bodySize(message.body);
  const packed = pack(message.flags);
  insertMessage(database, {
    ...packed,
    mailbox: mailbox.id,
    uid,
    modseq,
    size,
    headerSize: message.body.headerSize,
    internalDate: message.internalDate,
    saveDate: message.now,
    body: message.bodyId,
  });
  addUsed(database, mailbox.account, size);
  const where = { account: accountId(mailbox.account), mailbox: mailboxId(mailbox.id) };
  changes.push({ kind: 'exists', ...where, modseq, uid, flags: unpack(packed) });
  return { uid, modseq };
}

/** Messages that one delivery removes on the way down to 70 %, so that it holds up the others for 20 ms at most. */
export const MAX_TRIMMED = 200;
/** The same where fewer would not make room for it. */
const MAX_TRIMMED_TO_FIT = 2000;

/** Trims the account's INBOX as the contract says (see QUOTA_TRIM_ABOVE); false where `size` bytes still do not fit. */
function makeRoom(transaction: Transaction, inbox: MailboxRow, size: number, now: number): boolean {
  const { database, quota } = transaction;
  let after = used(transaction, inbox.account) + size;
  if (after <= quota * QUOTA_TRIM_ABOVE) return true;
  if (size > quota) return false;
  // UIDs ascend as messages come in, so the lowest are the oldest.
  const oldest = database.all<{ uid: number; size: number; body: number; saveDate: number }>(
    'SELECT uid, size, body, save_date AS saveDate FROM message WHERE mailbox = ? ORDER BY uid LIMIT ?',
    inbox.id,
    MAX_TRIMMED_TO_FIT,
  );
  const trimmed = [];
  for (const message of oldest) {
    const enough = trimmed.length < MAX_TRIMMED ? quota * QUOTA_TRIM_TO : quota;
    // One from the future came when the clock was wrong: it must not keep the box full for years.
    if (after <= enough || Math.abs(now - message.saveDate) < QUOTA_TRIM_SPARES) break;
    trimmed.push(message);
    after -= message.size;
  }
  if (after > quota) return false;
  removeMessages(transaction, inbox, trimmed);
  return true;
}

function used({ database }: Transaction, account: number): number {
  return database.get<{ used: number }>('SELECT used FROM account WHERE id = ?', account)?.used ?? 0;
}
