import type { Account, Mailbox, Message } from '../contract.ts';
import { day } from '../../clock.ts';
import { unpack } from './flags.ts';
import { accountId, mailboxId } from './ids.ts';

/** Columns of `account` as `AccountRow` names them. */
export const accountColumns = `id, address, password_hash AS passwordHash, created_day AS createdDay,
  last_login_day AS lastLoginDay, accepts_cleartext AS acceptsCleartext`;

export interface AccountRow {
  readonly id: number;
  readonly address: string;
  readonly passwordHash: string;
  readonly createdDay: number;
  readonly lastLoginDay: number;
  readonly acceptsCleartext: number;
}

export function toAccount(row: AccountRow): Account {
  return {
    id: accountId(row.id),
    address: row.address,
    passwordHash: row.passwordHash,
    createdDay: row.createdDay,
    lastLoginDay: row.lastLoginDay,
    acceptsCleartext: row.acceptsCleartext !== 0,
  };
}

/** Midnight UTC of the day that `now` is in. */
export function startOfDay(now: number): number {
  return Math.floor(now / day) * day;
}

export const mailboxColumns = `id, account, name, uid_validity AS uidValidity, uid_next AS uidNext,
  highest_modseq AS highestModseq, subscribed`;

export interface FullMailboxRow {
  readonly id: number;
  readonly account: number;
  readonly name: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModseq: number;
  readonly subscribed: number;
}

export function toMailbox(row: FullMailboxRow): Mailbox {
  return {
    id: mailboxId(row.id),
    account: accountId(row.account),
    name: row.name,
    uidValidity: row.uidValidity,
    uidNext: row.uidNext,
    highestModseq: row.highestModseq,
    subscribed: row.subscribed !== 0,
  };
}

/** Columns of `message` (as m) as `MessageRow` names them. */
export const messageColumns = `m.uid, m.modseq, m.flags, m.keywords, m.size, m.header_size AS headerSize,
  m.internal_date AS internalDate, m.save_date AS saveDate`;

export interface MessageRow {
  readonly uid: number;
  readonly modseq: number;
  readonly flags: number;
  readonly keywords: string;
  readonly size: number;
  readonly headerSize: number;
  readonly internalDate: number;
  readonly saveDate: number;
}

export function toMessage(row: MessageRow): Message {
  return {
    uid: row.uid,
    modseq: row.modseq,
    flags: unpack(row),
    size: row.size,
    headerSize: row.headerSize,
    internalDate: row.internalDate,
    saveDate: row.saveDate,
  };
}
