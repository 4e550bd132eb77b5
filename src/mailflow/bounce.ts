import type { Clock, Random } from '../clock.ts';
import { buildDsn } from '../message/dsn.ts';
import type { Undelivered } from '../message/dsn.ts';
import { parseHeader } from '../message/header.ts';
import { parseMailbox } from '../message/address.ts';
import type { Events } from '../observe/events.ts';
import { OverQuota } from '../store/contract.ts';
import type { Store } from '../store/contract.ts';
import { localAddress } from './recipients.ts';

/** Tells a sender what was not delivered; durable when it resolves. Rejects as the store does. */
export type Bounce = (undelivered: Undelivered) => Promise<void>;

export interface BounceParts {
  /** What stands behind the @ of our addresses. */
  readonly domain: string;
  readonly store: Pick<Store, 'accept' | 'accounts'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Pick<Events, 'bounceSent' | 'bounceSuppressed'>;
}

/**
 * Bounces go the way of all mail: into the mailbox of a sender here, or into the queue, signed there, to one elsewhere.
 * Their envelope has the null sender, so that nobody bounces them (RFC 5321 4.5.5); the caller never asks for one to the
 * null sender, nor to a sender that is not proven to have sent the message. Devices are not woken: Delta Chat does not
 * show a cleartext message of its own (client.md 3.2).
 */
export function createBounce({ domain, store, clock, random, events }: BounceParts): Bounce {
  return async (undelivered) => {
    const count = undelivered.recipients.length;
    const now = clock.now();
    const message = buildDsn(undelivered, { domain, now, id: random(16).toString('hex') });
    const plan = { now, message, headerSize: parseHeader(message).size };

    const here = localAddress(undelivered.sender, domain);
    if (here === undefined) {
      const destination = parseMailbox(undelivered.sender)?.domain;
      if (destination === undefined) throw new TypeError('a bounce to what is no address');
      const recipients = [{ address: undelivered.sender, destination }];
      await store.accept({ ...plan, deliveries: [], outgoing: { sender: '', recipients } });
      return events.bounceSent('elsewhere', count);
    }

    const account = await store.accounts.find(here);
    if (account === undefined) return events.bounceSuppressed('no account', count);
    try {
      const { deliveries } = await store.accept({
        ...plan,
        deliveries: [{ account: account.id, push: false }],
      });
      if (deliveries[0]?.kind === 'no-account') events.bounceSuppressed('no account', count);
      else events.bounceSent('here', count);
    } catch (error) {
      if (!(error instanceof OverQuota)) throw error;
      events.bounceSuppressed('no room', count);
    }
  };
}
