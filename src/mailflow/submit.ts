import type { Clock } from '../clock.ts';
import type { Filter } from '../filter/filter.ts';
import { cleanSubmission } from '../filter/privacy.ts';
import { parseHeader } from '../message/header.ts';
import type { Events } from '../observe/events.ts';
import type { Store } from '../store/contract.ts';
import { answering } from './answer.ts';
import type { Bounce } from './bounce.ts';
import { deliver } from './deliver.ts';
import { findLocalRecipients, outgoingRecipients } from './recipients.ts';
import { accepted, refused } from './verdict.ts';
import type { TakeMessage } from './verdict.ts';

export interface SubmitParts {
  /** What stands behind the @ of our addresses. */
  readonly domain: string;
  readonly store: Pick<Store, 'accept' | 'accounts'>;
  readonly filter: Pick<Filter, 'judgeOutgoing'>;
  readonly bounce: Bounce;
  readonly clock: Clock;
  readonly events: Events;
}

/**
 * A user sends a message: the walk of docs/architecture.md from step 5 on. The session has seen to the rest: TLS,
 * login, that MAIL FROM is the login, rates, size, line endings.
 */
export function createSubmit({ domain, store, filter, bounce, clock, events }: SubmitParts): TakeMessage {
  return answering('outgoing', events, async (envelope, message) => {
    const header = parseHeader(message);
    const { sender } = envelope;

    const form = await filter.judgeOutgoing({ message, header, sender, recipients: envelope.recipients });
    if (!form.ok) return refused(form.refusal);

    const recipients = {
      ...(await findLocalRecipients(envelope.recipients, domain, store.accounts)),
      outgoing: outgoingRecipients(envelope.recipients, domain),
    };
    const passed = {
      message: cleanSubmission(message, header),
      author: form.author,
      encrypted: form.as === 'encrypted',
      bounceTo: form.author.address,
    };
    await deliver(passed, recipients, envelope, clock.now(), { store, bounce, events });

    const { accounts, outgoing } = recipients;
    events.messageSubmitted(envelope.session, message.length, accounts.length, outgoing.length);
    return accepted;
  });
}
