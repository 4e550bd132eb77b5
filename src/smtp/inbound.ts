import { refuse } from '../errors.ts';
import { createListener } from './listener.ts';
import type { Listener, ListenerParts } from './listener.ts';

export interface InboundParts extends ListenerParts {
  /** Whether mail for this address is ours to take; one that nobody has counts as well (upstream: local_recipient_maps=). */
  readonly isLocal: (address: string) => boolean;
}

/**
 * Port 25, mail from other relays: STARTTLS required, no AUTH, recipients of ours alone (relay.md 4). TLS from 1.2
 * on, because relays that speak nothing newer are still about. Rejects when the port cannot be bound.
 */
export function createInbound(parts: InboundParts): Promise<Listener> {
  return createListener(parts, {
    service: 'smtp',
    implicitTls: false,
    minTls: 'TLSv1.2',
    rules: {
      // Anybody may send, and a bounce has no sender (RFC 5321 4.5.5); receive() judges the author by DKIM.
      sender: () => undefined,
      // Never refuse one of ours beside others: upstream fails the whole batch at one refusal (relay.md 3, transport).
      recipient: (recipient) =>
        parts.isLocal(recipient) ? undefined : refuse('relay_denied', 'recipient elsewhere', { recipient }),
      transaction: () => undefined,
    },
  });
}
