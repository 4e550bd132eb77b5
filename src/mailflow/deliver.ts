import type { Author } from '../message/address.ts';
import { fieldsOf, parseHeader } from '../message/header.ts';
import type { Header } from '../message/header.ts';
import type { Account, Plan } from '../store/contract.ts';

/** A message that passed all rules. */
export interface Passed {
  /** As it will be kept and read. */
  readonly message: Buffer;
  readonly author: Author;
  readonly encrypted: boolean;
  readonly recipients: readonly Account[];
}

/** What becomes of the message here, for the store to take as a whole or not at all. */
export function planDelivery(passed: Passed, now: number): Plan {
  const header = parseHeader(passed.message);
  return {
    now,
    message: passed.message,
    headerSize: header.size,
    deliveries: passed.recipients.map((account) => ({
      account: account.id,
      push: wakesDevices(account, passed, header),
    })),
  };
}

/**
 * Whether the account's devices are woken: not by what a user sends to their own other devices (upstream's only rule),
 * nor by a cleartext answer of a machine, such as a bounce, which Delta Chat does not show (client.md 3.2).
 */
function wakesDevices(account: Account, { author, encrypted }: Passed, header: Header): boolean {
  if (account.address === author.address) return false;
  return encrypted || !isAutoReply(header);
}

/** RFC 3834 5: anything but `no` was not written by a person. */
function isAutoReply(header: Header): boolean {
  return fieldsOf(header, 'auto-submitted').some(({ value }) => value.toLowerCase() !== 'no');
}
