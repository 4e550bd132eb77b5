import { openChannel, openSmtp } from './channel.ts';
import type { ChannelParts } from './channel.ts';
import type { Consignment, RecipientOutcome } from './consignment.ts';
import { MAX_RECIPIENTS } from './mxdeliv.ts';
import type { Mxdeliv, Posted } from './mxdeliv.ts';
import { refusedBy, Stopped, stoppedBy, trouble } from './problem.ts';
import type { SmtpClient } from './smtp-client.ts';
import type { Pooled, SmtpPool } from './smtp-pool.ts';
import type { Target } from './target.ts';
import { transact } from './transaction.ts';

export interface HostDeliveryParts extends ChannelParts {
  readonly pool: SmtpPool;
  /** Aborted when nothing is to be learned any more: see openChannel. */
  readonly closing: AbortSignal;
}

/**
 * Brings a consignment to one host, by /mxdeliv or SMTP, and by SMTP what /mxdeliv leaves. Rejects where no recipient has
 * an outcome: stoppedBy tells why, and whether another host may be tried.
 */
export type HostDelivery = (
  target: Target,
  consignment: Consignment,
  signal: AbortSignal,
) => Promise<readonly RecipientOutcome[]>;

export function createHostDelivery(parts: HostDeliveryParts): HostDelivery {
  const { absent, mxdeliv, pool, closing } = parts;

  const bySmtp = async (
    target: Target,
    consignment: Consignment,
    signal: AbortSignal,
    opened?: SmtpClient,
  ): Promise<readonly RecipientOutcome[]> => {
    const waits = opened ? undefined : pool.take(target.smtp.key);
    if (waits) {
      try {
        return await transactOn(target, waits, consignment, signal);
      } catch (error) {
        // It was closed while it waited: nothing was taken, so once more on a new one.
        if (!(error instanceof Stopped && error.tryNext) || signal.aborted) throw error;
      }
    }
    const client = opened ?? (await openSmtp(parts, target, signal)).client;
    return transactOn(target, { client, transactions: 0 }, consignment, signal);
  };

  const transactOn = async (
    { host, smtp }: Target,
    { client, transactions }: Pooled,
    consignment: Consignment,
    signal: AbortSignal,
  ): Promise<readonly RecipientOutcome[]> => {
    try {
      const { outcomes, clean } = await transact(client, host, consignment, transactions > 0, signal);
      if (clean) pool.give(smtp.key, { client, transactions });
      else client[Symbol.dispose]();
      return outcomes;
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  };

  /** A hundred at a time. Those at the end of the list that have no outcome are for SMTP. */
  const byMxdeliv = async (
    target: Target,
    consignment: Consignment,
    opened: Opened | undefined,
    signal: AbortSignal,
  ): Promise<RecipientOutcome[]> => {
    const { recipients } = consignment;
    const outcomes: RecipientOutcome[] = [];
    let socket = opened;
    while (outcomes.length < recipients.length) {
      const some = recipients.slice(outcomes.length, outcomes.length + MAX_RECIPIENTS);
      const posted = await postOnce(target, { ...consignment, recipients: some }, socket, signal);
      socket = undefined;
      // Something between us may not let such a request through, or there is none to take it: the next goes by port 25.
      if ((posted.kind === 'absent' || posted.kind === 'unknown') && !signal.aborted) absent.add(target.host);
      const outcome = outcomeOf(posted, target.host);
      if (!outcome) break;
      outcomes.push(...some.map(() => outcome));
      if (posted.kind === 'unknown') break;
    }
    return outcomes;
  };

  /** On `opened`, on a connection that waits, or on a new one; on a new one as well where the one that waited was closed. */
  const postOnce = async (
    target: Target,
    consignment: Consignment,
    opened: Opened | undefined,
    signal: AbortSignal,
  ): Promise<Posted> => {
    if (opened || mxdeliv.isOpen(target)) {
      const posted = await mxdeliv.post(target, consignment, opened, signal);
      if (posted.kind !== 'stale') return posted;
    }
    const fresh = await mxdeliv.open(target, signal).catch(() => undefined);
    return fresh ? mxdeliv.post(target, consignment, fresh, signal) : { kind: 'absent' };
  };

  return async (target, consignment, signal) => {
    if (target.only25 || absent.has(target.host)) return bySmtp(target, consignment, signal);
    const channel = await openChannel(parts, target, signal, closing);
    if (channel.via === 'smtp') return bySmtp(target, consignment, signal, channel.client);

    const outcomes = await byMxdeliv(target, consignment, channel.opened, signal);
    const left = consignment.recipients.slice(outcomes.length);
    if (left.length === 0) return outcomes;
    // What has an outcome keeps it, whatever becomes of the rest.
    const others = await bySmtp(target, { ...consignment, recipients: left }, signal).catch(
      (error: unknown) => {
        if (outcomes.length === 0) throw error;
        const { outcome, problem } = stoppedBy(error, target.host);
        return left.map((): RecipientOutcome => ({ kind: outcome, problem }));
      },
    );
    return [...outcomes, ...others];
  };
}

type Opened = Awaited<ReturnType<Mxdeliv['open']>>;

/** Undefined where SMTP is to try. */
function outcomeOf(posted: Posted, host: string): RecipientOutcome | undefined {
  if (posted.kind === 'taken') return { kind: 'delivered', via: 'mxdeliv', host };
  if (posted.kind === 'reply') return refusedBy(host, posted.reply, 'the message');
  if (posted.kind !== 'unknown') return undefined;
  const text = `${host} did not confirm the message, which it may have taken: ${posted.reason}`;
  return { kind: 'deferred', problem: trouble('4.4.2', text, host) };
}
