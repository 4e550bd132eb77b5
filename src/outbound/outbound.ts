import type { Clock, Random } from '../clock.ts';
import type { AddressResolver, MxResolver, Resolver } from '../dns/resolver.ts';
import type { ValidatingLookup } from '../dns/validating.ts';
import type { Events } from '../observe/events.ts';
import { openChannel } from './channel.ts';
import type { Channel } from './channel.ts';
import type { Consignment, RecipientOutcome, SendOut } from './consignment.ts';
import { createDane } from './dane.ts';
import type { DaneMode } from './dane.ts';
import { createDial } from './dialler.ts';
import type { Dialler } from './dialler.ts';
import { createKnownAbsent } from './known-absent.ts';
import { createMtaSts } from './mta-sts.ts';
import type { MtaStsMode } from './mta-sts.ts';
import { createMxdeliv, MAX_RECIPIENTS } from './mxdeliv.ts';
import { refusedBy, Stopped, trouble } from './problem.ts';
import { findHosts } from './route.ts';
import { connectSmtp, TlsRefused } from './smtp-client.ts';
import type { SmtpClient } from './smtp-client.ts';
import { createSmtpPool } from './smtp-pool.ts';
import { SmtpRefused } from './smtp-wire.ts';
import { createTlsPolicy } from './tls-policy.ts';
import { transact } from './transaction.ts';

export interface OutboundParts {
  /** What we call ourselves: mail_domain, an address in brackets. */
  readonly helo: string;
  readonly resolver: Resolver & MxResolver & AddressResolver;
  /** For DANE. */
  readonly lookup: ValidatingLookup;
  readonly dialler: Dialler;
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
  const dial = createDial(parts.dialler, resolver);
  const mxdeliv = createMxdeliv({ dial, clock });
  const absent = createKnownAbsent(clock);
  const pool = createSmtpPool(clock);
  const tlsFor = createTlsPolicy(parts);
  const sts = createMtaSts({ ...parts, mode: parts.mtaSts, dial, tlsFor });
  const dane = createDane({ ...parts, mode: parts.dane, tlsFor, closing: closing.signal });
  const channelParts = { dial, clock, helo: parts.helo, mxdeliv, absent };

  const send: SendOut = async (consignment, given) => {
    const all = (outcome: RecipientOutcome) => consignment.recipients.map(() => outcome);
    try {
      const hosts = await findHosts(consignment.destination, resolver, random);
      const wanted = sts.filter(consignment.destination, hosts, closing.signal);
      dane.look(consignment.destination, wanted);
      return await sendToOne(wanted, consignment, AbortSignal.any([given, closing.signal]));
    } catch (error) {
      if (error instanceof Stopped) return all({ kind: error.outcome, problem: error.problem });
      return all({ kind: 'deferred', problem: trouble('4.3.0', `a fault of this relay: ${textOf(error)}`) });
    }
  };

  /** The hosts in their order, until one has an answer. Throws Stopped with what the last one failed of. */
  const sendToOne = async (
    hosts: readonly string[],
    consignment: Consignment,
    signal: AbortSignal,
  ): Promise<readonly RecipientOutcome[]> => {
    let last = new Stopped('deferred', trouble('4.4.1', 'there is no host to send to'));
    for (const host of hosts) {
      try {
        return await sendTo(host, consignment, signal);
      } catch (error) {
        last = stoppedBy(error, host);
        if (!last.tryNext || signal.aborted) break;
      }
    }
    throw last;
  };

  const sendTo = async (
    host: string,
    consignment: Consignment,
    signal: AbortSignal,
  ): Promise<readonly RecipientOutcome[]> => {
    const demand = await dane.demand(consignment.destination, host);
    const options = tlsFor(consignment.destination, host);
    const tls = demand?.handshake(options) ?? options;
    const key = `${host} ${String(options.rejectUnauthorized)} ${demand?.key ?? ''}`;
    const only25 = demand?.only25 ?? false;
    const waits = only25 || absent.has(host) ? pool.take(key) : undefined;
    if (waits) {
      try {
        return await bySmtp(host, key, waits.client, waits.transactions, consignment, signal);
      } catch (error) {
        // It was closed while it waited: nothing of the message was sent, so once more on a new one.
        if (!(error instanceof Stopped && error.tryNext) || signal.aborted) throw error;
      }
    }
    const channel: Channel = only25
      ? { via: 'smtp', client: await connectSmtp(channelParts, host, tls, signal) }
      : await openChannel(channelParts, host, tls, signal, closing.signal);
    if (channel.via === 'smtp') return bySmtp(host, key, channel.client, 0, consignment, signal);

    const { outcomes, left } = await byMxdeliv(host, consignment, channel.opened, signal);
    if (left.length === 0) return outcomes;
    const rest = { ...consignment, recipients: left };
    // What has an outcome keeps it, whatever becomes of the rest.
    const others = await connectSmtp(channelParts, host, tls, signal)
      .then((client) => bySmtp(host, key, client, 0, rest, signal))
      .catch((error: unknown) => {
        if (outcomes.length === 0) throw error;
        const { outcome, problem } = stoppedBy(error, host);
        return left.map((): RecipientOutcome => ({ kind: outcome, problem }));
      });
    return [...outcomes, ...others];
  };

  const bySmtp = async (
    host: string,
    key: string,
    client: SmtpClient,
    transactions: number,
    consignment: Consignment,
    signal: AbortSignal,
  ): Promise<readonly RecipientOutcome[]> => {
    try {
      const { outcomes, clean } = await transact(client, host, consignment, transactions > 0, signal);
      if (clean) pool.give(key, { client, transactions });
      else client[Symbol.dispose]();
      return outcomes;
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  };

  /** A hundred at a time. `left`: those at the end of the list that have no outcome, for SMTP. */
  const byMxdeliv = async (
    host: string,
    consignment: Consignment,
    opened: Awaited<ReturnType<typeof mxdeliv.open>> | undefined,
    signal: AbortSignal,
  ): Promise<{ outcomes: RecipientOutcome[]; left: readonly string[] }> => {
    const { recipients, destination } = consignment;
    const outcomes: RecipientOutcome[] = [];
    let socket = opened;
    while (outcomes.length < recipients.length) {
      const some = recipients.slice(outcomes.length, outcomes.length + MAX_RECIPIENTS);
      const reopen = () => mxdeliv.open(host, tlsFor(destination, host), signal).catch(() => undefined);
      socket ??= mxdeliv.isOpen(host) ? undefined : await reopen();
      let posted =
        socket || mxdeliv.isOpen(host)
          ? await mxdeliv.post(host, { ...consignment, recipients: some }, socket, signal)
          : ({ kind: 'absent' } as const);
      if (posted.kind === 'stale') {
        socket = await reopen();
        posted = socket
          ? await mxdeliv.post(host, { ...consignment, recipients: some }, socket, signal)
          : { kind: 'absent' };
      }
      socket = undefined;
      const outcome = outcomeOf(posted, host);
      if (!outcome) {
        if (posted.kind !== 'too-big') absent.add(host);
        break;
      }
      // The next try goes by port 25: something between us may not let such a request through.
      if (posted.kind === 'unknown') absent.add(host);
      outcomes.push(...some.map(() => outcome));
    }
    return { outcomes, left: recipients.slice(outcomes.length) };
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

/** Undefined where SMTP is to try. */
function outcomeOf(
  posted: Awaited<ReturnType<ReturnType<typeof createMxdeliv>['post']>>,
  host: string,
): RecipientOutcome | undefined {
  if (posted.kind === 'taken') return { kind: 'delivered', via: 'mxdeliv', host };
  if (posted.kind === 'reply') return refusedBy(host, posted.reply, 'the message');
  if (posted.kind !== 'unknown') return undefined;
  const text = `${host} did not confirm the message, which it may have taken: ${posted.reason}`;
  return { kind: 'deferred', problem: trouble('4.4.2', text, host) };
}

/** What connecting failed of, in words and as RFC 3463 has it. */
function stoppedBy(error: unknown, host: string): Stopped {
  if (error instanceof Stopped) return error;
  if (error instanceof SmtpRefused && error.reply) {
    const { kind, problem } = refusedBy(host, error.reply, 'the connection');
    return new Stopped(kind === 'failed' ? 'failed' : 'deferred', problem, true);
  }
  if (error instanceof TlsRefused)
    return new Stopped(
      'deferred',
      trouble('4.7.5', `no safe TLS with ${host}: ${error.message}`, host),
      true,
    );
  return new Stopped('deferred', trouble('4.4.1', `${host} cannot be reached: ${textOf(error)}`, host), true);
}

function textOf(error: unknown): string {
  // Of several addresses that fail, node tells each.
  if (error instanceof AggregateError) return error.errors.map(textOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
