import type { DkimCheck } from '../authenticity/check.ts';
import type { Clock } from '../clock.ts';
import type { Filter } from '../filter/filter.ts';
import { cleanDelivery } from '../filter/privacy.ts';
import { parseMailbox } from '../message/address.ts';
import type { Author } from '../message/address.ts';
import { parseHeader } from '../message/header.ts';
import type { Events } from '../observe/events.ts';
import type { Store } from '../store/contract.ts';
import { answering } from './answer.ts';
import type { Bounce } from './bounce.ts';
import { deliver } from './deliver.ts';
import { judgeOrigin } from './origin.ts';
import { findLocalRecipients } from './recipients.ts';
import { accepted, refused } from './verdict.ts';
import type { TakeMessage } from './verdict.ts';

export interface ReceiveParts {
  /** What stands behind the @ of our addresses. */
  readonly domain: string;
  readonly store: Pick<Store, 'accept' | 'accounts'>;
  readonly filter: Pick<Filter, 'judgeIncoming'>;
  readonly checkDkim: DkimCheck;
  readonly bounce: Bounce;
  readonly clock: Clock;
  readonly events: Events;
}

/**
 * A message arrives from outside: the walk of docs/architecture.md from step 6 on. The session has seen to the rest:
 * TLS, recipients that are ours, size, line endings.
 */
export function createReceive({
  domain,
  store,
  filter,
  checkDkim,
  bounce,
  clock,
  events,
}: ReceiveParts): TakeMessage {
  return answering('incoming', events, async (envelope, message) => {
    const header = parseHeader(message);
    // What comes from outside stays here, whatever the session let through.
    const local = await findLocalRecipients(envelope.recipients, domain, store.accounts);
    const recipients = { ...local, outgoing: [] };

    // Its form before its origin, as upstream: what is refused anyway costs no question to DNS.
    const acceptsCleartext = recipients.accounts.map((account) => account.acceptsCleartext);
    const form = await filter.judgeIncoming({ message, header, acceptsCleartext });
    if (!form.ok) return refused(form.refusal);

    const origin = await judgeOrigin(form.author, envelope.peer, message, checkDkim);
    if (!origin.ok) return refused(origin.refusal);

    const passed = {
      message: cleanDelivery(message, header),
      author: form.author,
      encrypted: form.as === 'encrypted',
      // The author is proven, the envelope's sender is not: relay.md 3, "Incoming" 1. A bounce is never bounced.
      bounceTo:
        form.as !== 'bounce' && sameAddress(envelope.sender, form.author) ? envelope.sender : undefined,
    };
    await deliver(passed, recipients, envelope, clock.now(), { store, bounce, events });

    events.messageReceived(envelope.session, message.length, recipients.accounts.length);
    return accepted;
  });
}

function sameAddress(path: string, author: Author): boolean {
  const mailbox = parseMailbox(path);
  return mailbox !== undefined && `${mailbox.local}@${mailbox.domain}`.toLowerCase() === author.address;
}
