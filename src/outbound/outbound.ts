import type { Clock, Random } from '../clock.ts';
import { DnsMissing } from '../dns/resolver.ts';
import type { AddressResolver, MxResolver, Resolver } from '../dns/resolver.ts';
import type { ValidatingLookup } from '../dns/validating.ts';
import type { Events } from '../observe/events.ts';
import type { Consignment, RecipientOutcome, SendOut } from './consignment.ts';
import { createDane } from './dane.ts';
import type { DaneMode } from './dane.ts';
import { unlessAborted } from './deadline.ts';
import { createDial } from './dialler.ts';
import type { Dialler, Source } from './dialler.ts';
import { createHostDelivery } from './host-delivery.ts';
import { createKnownAbsent } from './known-absent.ts';
import { createMtaSts } from './mta-sts.ts';
import type { MtaStsMode } from './mta-sts.ts';
import { createMxdeliv } from './mxdeliv.ts';
import { Stopped, stoppedBy, textOf, trouble } from './problem.ts';
import { findHosts } from './route.ts';
import { createSmtpPool } from './smtp-pool.ts';
import { targetOf } from './target.ts';
import { createTlsPolicy } from './tls-policy.ts';

export interface OutboundParts {
  /** What we call ourselves: mail_domain, an address in brackets. */
  readonly helo: string;
  readonly resolver: Resolver & MxResolver & AddressResolver;
  /** For DANE. */
  readonly lookup: ValidatingLookup;
  readonly dialler: Dialler;
  /** Where our connections come from; left to the system where it is left out. */
  readonly from?: Source;
  /** PEM: roots beside those of Node. */
  readonly trustedCa: string | undefined;
  /** The settings tls_unverified_domains, mta_sts and dane. */
  readonly unverifiedDomains: readonly string[];
  readonly mtaSts: MtaStsMode;
  readonly dane: DaneMode;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Pick<Events, 'mtaStsMismatch' | 'daneMismatch'>;
}

export interface Outbound extends Disposable {
  readonly send: SendOut;
}

/**
 * Sends to other relays (docs/federation.md, "How mail leaves"): the only part that opens connections to them. Each step
 * has a time limit of its own (STEP_TIME, POST_TIME); that of a whole consignment is the caller's signal.
 */
export function createOutbound(parts: OutboundParts): Outbound {
  const { resolver, clock, random } = parts;
  const closing = new AbortController();
  const dial = createDial(parts);
  const mxdeliv = createMxdeliv({ dial, clock });
  const pool = createSmtpPool(clock);
  const tlsFor = createTlsPolicy(parts);
  const sts = createMtaSts({ ...parts, mode: parts.mtaSts, dial, tlsFor });
  const dane = createDane({ ...parts, mode: parts.dane, tlsFor, closing: closing.signal });
  const deliver = createHostDelivery({
    dial,
    clock,
    helo: parts.helo,
    mxdeliv,
    absent: createKnownAbsent(clock),
    pool,
    closing: closing.signal,
  });

  const send: SendOut = async (consignment, given) => {
    const all = (outcome: RecipientOutcome) => consignment.recipients.map(() => outcome);
    try {
      const { destination } = consignment;
      const signal = AbortSignal.any([given, closing.signal]);
      const hosts = await unlessAborted(signal, findHosts(destination, resolver, random));
      const wanted = sts.filter(destination, hosts, closing.signal);
      dane.look(destination, wanted);
      return await sendToOne(wanted, consignment, signal);
    } catch (error) {
      if (error instanceof Stopped) return all({ kind: error.outcome, problem: error.problem });
      if (given.aborted || closing.signal.aborted)
        return all({ kind: 'deferred', problem: trouble('4.3.0', textOf(error)) });
      return all({ kind: 'deferred', problem: trouble('4.3.0', `a fault of this relay: ${textOf(error)}`) });
    }
  };

  /** The hosts in their order, until one has an answer. Throws Stopped with what the preferred one failed of. */
  const sendToOne = async (
    hosts: readonly string[],
    consignment: Consignment,
    signal: AbortSignal,
  ): Promise<readonly RecipientOutcome[]> => {
    const { destination } = consignment;
    const stops: Stopped[] = [];
    for (const host of hosts) {
      try {
        const demand = await unlessAborted(signal, dane.demand(destination, host));
        return await deliver(targetOf(host, tlsFor(destination, host), demand), consignment, signal);
      } catch (error) {
        const stopped = noAddress(error, destination, host) ?? stoppedBy(error, host);
        // Whoever may have taken the message decides alone.
        if (!stopped.tryNext) throw stopped;
        stops.push(stopped);
        if (signal.aborted) break;
      }
    }
    // Refused by a backup while the preferred one is away is not for ever.
    throw (
      stops.find(({ outcome }) => outcome === 'deferred') ??
      stops[0] ??
      new Stopped('deferred', trouble('4.4.1', 'there is no host to send to'))
    );
  };

  return {
    send,
    [Symbol.dispose]: () => {
      closing.abort(new Error('the relay is being stopped'));
      mxdeliv[Symbol.dispose]();
      pool[Symbol.dispose]();
    },
  };
}

/** RFC 5321 5.1: a domain without MX records is its own host; where that has no address it takes no mail. */
function noAddress(error: unknown, destination: string, host: string): Stopped | undefined {
  if (!(error instanceof DnsMissing) || host !== destination) return undefined;
  const text = `Domain ${destination} takes no mail: it has no mail server and no address`;
  return new Stopped('failed', trouble('5.1.2', text), true);
}
