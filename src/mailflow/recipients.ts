import { parseMailbox, withoutTag } from '../message/address.ts';
import type { Account, Accounts, OutgoingRecipient } from '../store/contract.ts';

export interface LocalRecipients {
  /** Each account once, however often and under whatever tags it was named. */
  readonly accounts: readonly Account[];
  /** Addresses here that nobody has, each once, as the envelope named it first. */
  readonly unknown: readonly string[];
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
  const named = new Map<string, string>();
  for (const recipient of recipients) {
    const address = localAddress(recipient, domain);
    if (address !== undefined && !named.has(address)) named.set(address, recipient);
  }
  const found = await accounts.findMany([...named.keys()]);
  const unknown = [...named].filter(([address]) => !found.has(address)).map(([, recipient]) => recipient);
  return { accounts: [...found.values()], unknown };
}

/**
 * Those of `recipients` that are elsewhere, each once, as they were given: how a local part is written is the other
 * side's business (RFC 5321 2.4).
 */
export function outgoingRecipients(recipients: readonly string[], domain: string): OutgoingRecipient[] {
  const found = new Map<string, OutgoingRecipient>();
  for (const address of recipients) {
    const mailbox = parseMailbox(address);
    if (mailbox === undefined || mailbox.domain === domain) continue;
    const key = `${mailbox.local}@${mailbox.domain}`;
    if (!found.has(key)) found.set(key, { address, destination: mailbox.domain });
  }
  return [...found.values()];
}
