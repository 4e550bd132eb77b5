import { parseMailbox, withoutTag } from '../message/address.ts';
import type { Account, Accounts } from '../store/contract.ts';

export interface LocalRecipients {
  /** Each account once, however often and under whatever tags it was named. */
  readonly accounts: readonly Account[];
  /** Addresses here that nobody has. */
  readonly unknown: number;
}

/** The part of an address that names an account: lower case, without `+tag`; undefined where it is elsewhere. */
export function localAddress(recipient: string, domain: string): string | undefined {
  const mailbox = parseMailbox(recipient);
  if (mailbox?.domain !== domain) return undefined;
  // relay.md 4: recipient_delimiter is +, and `user+tag@` is delivered to `user@`.
  return `${withoutTag(mailbox.local).toLowerCase()}@${domain}`;
}

/** Looks up those of `recipients` that are at `domain`; the others are not this function's business. */
export async function findLocalRecipients(
  recipients: readonly string[],
  domain: string,
  accounts: Pick<Accounts, 'findMany'>,
): Promise<LocalRecipients> {
  const addresses = new Set(
    recipients.map((recipient) => localAddress(recipient, domain)).filter((one) => one !== undefined),
  );
  const found = await accounts.findMany([...addresses]);
  return { accounts: [...found.values()], unknown: addresses.size - found.size };
}
