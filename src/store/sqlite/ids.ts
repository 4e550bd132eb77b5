import type { AccountId, MailboxId, QueuedId } from '../contract.ts';

/** The contract's opaque ids are our row numbers in decimal. */
export const accountId = (row: number): AccountId => String(row) as AccountId;
export const mailboxId = (row: number): MailboxId => String(row) as MailboxId;
export const queuedId = (row: number): QueuedId => String(row) as QueuedId;

/** The row number of an id; 0, which no row has, for what is not one of ours. */
export function rowOf(id: AccountId | MailboxId | QueuedId): number {
  return /^[1-9][0-9]{0,14}$/.test(id) ? Number(id) : 0;
}
