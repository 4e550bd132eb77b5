import type { Author } from '../message/address.ts';
import type { FailedRecipient } from '../message/dsn.ts';
import { fieldsOf, parseHeader } from '../message/header.ts';
import type { Header } from '../message/header.ts';
import type { Events } from '../observe/events.ts';
import type { Account, OutgoingRecipient, Plan, Store } from '../store/contract.ts';
import type { Bounce } from './bounce.ts';
import type { LocalRecipients } from './recipients.ts';
import type { Envelope } from './verdict.ts';

/** A message that passed all rules. */
export interface Passed {
  /** As it will be kept and read. */
  readonly message: Buffer;
  readonly author: Author;
  readonly encrypted: boolean;
  /**
   * Who is told of recipients that get nothing: who sent the message, and is proven to have. Undefined where nobody may
   * be told: a bounce to whom another names as the sender is spam (backscatter).
   */
  readonly bounceTo: string | undefined;
}

export interface Recipients extends LocalRecipients {
  /** Those elsewhere. None of a message from outside: nobody relays. */
  readonly outgoing: readonly OutgoingRecipient[];
}

export interface DeliverParts {
  readonly store: Pick<Store, 'accept'>;
  readonly bounce: Bounce;
  readonly events: Pick<Events, 'recipientDropped'>;
}

/**
 * Where both walks end. When it resolves, the message is durable for every recipient that has an account and room, in
 * the queue for every one elsewhere, and so is the bounce for the rest: now, and not before, the sender may be told 250.
 * Rejects as Store.accept does. Where the bounce alone could not be kept, the others have the message, and get it again
 * when it is sent again.
 *
 * A recipient that gets nothing is never refused beside others, for other relays give the whole message up then
 * (relay.md 3, transport).
 */
export async function deliver(
  passed: Passed,
  recipients: Recipients,
  { session }: Envelope,
  now: number,
  { store, bounce, events }: DeliverParts,
): Promise<void> {
  const { accounts, unknown, outgoing } = recipients;
  const plan = planOf(passed, recipients, now);
  const outcomes = accounts.length + outgoing.length > 0 ? (await store.accept(plan)).deliveries : [];
  const missed: Missed[] = [
    ...unknown.map((address) => ({ address, reason: 'unknown' as const })),
    ...outcomes.flatMap(({ kind }, index): Missed[] => {
      const address = accounts[index]?.address;
      if (kind === 'delivered' || address === undefined) return [];
      // `no-account`: removed since it was looked up.
      return [{ address, reason: kind === 'no-account' ? 'unknown' : kind }];
    }),
  ];
  if (missed.length === 0) return;
  if (passed.bounceTo === undefined) {
    for (const { reason } of missed) events.recipientDropped(session, reason);
    return;
  }
  await bounce({
    sender: passed.bounceTo,
    header: plan.message.subarray(0, plan.headerSize),
    acceptedAt: now,
    recipients: missed.map(({ address, reason }) => ({ address, ...WHY[reason] })),
  });
}

interface Missed {
  readonly address: string;
  readonly reason: 'unknown' | 'over-quota';
}

/** RFC 3463 3.2 and 3.3. */
const WHY: Readonly<Record<Missed['reason'], Omit<FailedRecipient, 'address'>>> = {
  unknown: { status: '5.1.1', text: 'there is no such address here' },
  'over-quota': { status: '5.2.2', text: 'the mailbox is full' },
};

function planOf(passed: Passed, { accounts, outgoing }: Recipients, now: number): Plan {
  const header = parseHeader(passed.message);
  return {
    now,
    message: passed.message,
    headerSize: header.size,
    deliveries: accounts.map((account) => ({
      account: account.id,
      push: wakesDevices(account, passed, header),
    })),
    ...(outgoing.length > 0 && { outgoing: { sender: passed.author.address, recipients: outgoing } }),
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
