import { ObjectId } from 'mongodb';
import type { AccountId, MailboxId } from '../contract.ts';

/** Ids of this store are WildDuck's own, in hex. Undefined for an id that is none of ours. */
export function objectId(id: AccountId | MailboxId): ObjectId | undefined {
  return /^[0-9a-f]{24}$/.test(id) ? ObjectId.createFromHexString(id) : undefined;
}

export const accountId = (user: ObjectId) => user.toHexString() as AccountId;
export const mailboxId = (mailbox: ObjectId) => mailbox.toHexString() as MailboxId;

/**
 * An address as WildDuck's username. WildDuck takes `a.b` and `ab` for one name and drops `+tag`; with `=` before the
 * two digits of a dot, a plus or itself (no name of Teal has one) they are names of their own there too.
 */
export function usernameOf(address: string): string {
  const at = address.lastIndexOf('@');
  return encode(address.slice(0, at)) + address.slice(at);
}

export function addressOf(username: string): string {
  const at = username.lastIndexOf('@');
  return decode(username.slice(0, at)) + username.slice(at);
}

const encode = (local: string) =>
  local.replace(/[.+=]/g, (letter) => `=${letter.charCodeAt(0).toString(16)}`);
const decode = (local: string) =>
  local.replace(/=(2e|2b|3d)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
