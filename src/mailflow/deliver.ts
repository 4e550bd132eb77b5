import type { Author } from '../message/address.ts';
import { fieldsOf, parseHeader } from '../message/header.ts';
import type { Header } from '../message/header.ts';
import type { Events } from '../observe/events.ts';
import type { Account, Plan, Store } from '../store/contract.ts';
import type { LocalRecipients } from './recipients.ts';
import type { Envelope } from './verdict.ts';

/** A message that passed all rules. */
export interface Passed {
  /** As it will be kept and read. */
  readonly message: Buffer;
  readonly author: Author;
  readonly encrypted: boolean;
}

export interface DeliverParts {
  readonly store: Pick<Store, 'accept'>;
  readonly events: Pick<Events, 'recipientDropped'>;
}

/**
 * Where both walks end. When it resolves, the message is durable for every recipient that has an account and room: now,
 * and not before, the sender may be told 250. Rejects as Store.accept does, and then nothing was kept.
 *
 * A recipient that gets nothing is never refused beside others, for other relays give the whole message up then
 * (relay.md 3, transport); until there are bounces an event is all that is left of it.
 */
export async function deliver(
  passed: Passed,
  recipients: LocalRecipients,
  { session }: Envelope,
  now: number,
  { store, events }: DeliverParts,
): Promise<void> {
  const { accounts, unknown } = recipients;
  const outcomes = accounts.length > 0 ? (await store.accept(planOf(passed, accounts, now))).deliveries : [];
  for (let count = 0; count < unknown; count++) events.recipientDropped(session, 'unknown');
  for (const { kind } of outcomes) {
    if (kind === 'over-quota') events.recipientDropped(session, kind);
    // Removed since it was looked up.
    if (kind === 'no-account') events.recipientDropped(session, 'unknown');
  }
}

function planOf(passed: Passed, accounts: readonly Account[], now: number): Plan {
  const header = parseHeader(passed.message);
  return {
    now,
    message: passed.message,
    headerSize: header.size,
    deliveries: accounts.map((account) => ({
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
