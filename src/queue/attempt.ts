import { pause, second, minute } from '../clock.ts';
import type { Clock, Random } from '../clock.ts';
import type { Undelivered } from '../message/dsn.ts';
import type { Events } from '../observe/events.ts';
import type { RecipientOutcome, SendOut } from '../outbound/consignment.ts';
import { StoreUnavailable } from '../store/contract.ts';
import type { Queue, QueueBatch, RowOutcome } from '../store/contract.ts';
import type { Lease } from './leases.ts';
import type { Loader } from './loaded.ts';
import { judgeOutcomes } from './outcome.ts';
import type { Judged } from './outcome.ts';
import { waitAfter } from './schedule.ts';

export interface AttemptParts {
  readonly queue: Pick<Queue, 'settle'>;
  readonly loader: Loader;
  readonly send: SendOut;
  readonly bounce: (undelivered: Undelivered) => Promise<void>;
  readonly lifetime: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Pick<Events, 'mailDelivered' | 'mailDeferred' | 'mailFailed' | 'mailClaimLost' | 'fault'>;
  readonly report: (error: unknown) => void;
  /** Aborted when the relay is being stopped. */
  readonly closing: AbortSignal;
}

/**
 * One try: a batch from its claim to its settlement, or until its claim is lost: then all that follows is the other's.
 * Resolves with whether the destination answered; undefined where it was not asked. Never rejects but for a fault of ours.
 */
export type Attempt = (batch: QueueBatch, lease: Lease, signal: AbortSignal) => Promise<boolean | undefined>;

/**
 * How long the store is asked again to keep what came of a try, which is done twice otherwise: nothing else could be sent
 * meanwhile.
 */
export const SETTLE_TIME = 15 * minute;
/** The same of a bounce: shorter, for it may be refused where the rest goes on (WildDuck without Redis). */
export const BOUNCE_TIME = 3 * minute;
const SHORT_WAIT = second;
const LONGEST_WAIT = 8 * second;

export function createAttempt(parts: AttemptParts): Attempt {
  const { queue, loader, send, bounce, lifetime, clock, random, events, report, closing } = parts;

  /** A store that fails is asked again for a while: without settlement the message would be sent once more. */
  const insist = async (ms: number, act: () => Promise<void>): Promise<boolean> => {
    const end = clock.now() + ms;
    for (let wait = SHORT_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        await act();
        return true;
      } catch (error) {
        report(error);
        if (!(error instanceof StoreUnavailable) || closing.aborted || clock.now() + wait > end) return false;
      }
      // The shutdown cuts it short, and there is a last time.
      await pause(clock, wait, closing);
    }
  };

  const outcomesOf = async (batch: QueueBatch, message: Buffer, signal: AbortSignal) => {
    const { destination, sender, rows } = batch;
    const recipients = rows.map(({ recipient }) => recipient);
    try {
      return await send({ destination, sender, recipients, message }, signal);
    } catch (error) {
      events.fault('outbound', error);
      return recipients.map(() => deferred('a fault of this relay'));
    }
  };

  /** Everything that follows from the outcomes, in this order: bounce, settlement, log. */
  const settle = async (
    batch: QueueBatch,
    lease: Lease,
    outcomes: readonly RecipientOutcome[],
    { header, giveUpAfter }: { header: Buffer; giveUpAfter: number },
  ) => {
    const now = clock.now();
    const judged = judgeOutcomes(batch, outcomes, {
      now,
      lifetime: giveUpAfter,
      chance: random(1).readUInt8() / 256,
      stopped: closing.aborted,
    });
    if (lease.lost) return breakOff(batch);
    const kept = await tellSender(batch, lease, judged, header);
    if (lease.lost) return breakOff(batch);
    const rows = kept ? judged.rows : putOff(batch, judged, now);
    // From here on a loss is no matter: a settlement is fenced, and may have been made in part before.
    if (await insist(SETTLE_TIME, () => queue.settle(batch, rows))) tell(batch, judged, now);
  };

  const breakOff = ({ destination, rows }: QueueBatch) => events.mailClaimLost(destination, rows.length);

  const tellSender = async (
    batch: QueueBatch,
    lease: Lease,
    { bounced }: Judged,
    header: Buffer,
  ): Promise<boolean> => {
    const { sender, queuedAt: acceptedAt } = batch;
    // RFC 5321 4.5.5: a bounce is never bounced.
    if (bounced.length === 0 || sender === '') return true;
    const recipients = bounced.map(({ recipient }) => recipient);
    return insist(BOUNCE_TIME, async () => {
      // Unlike settlement it knows no fence.
      if (await lease.holds()) await bounce({ sender, header, acceptedAt, recipients });
    });
  };

  const tell = ({ destination, queuedAt }: QueueBatch, judged: Judged, now: number) => {
    for (const via of ['mxdeliv', 'smtp'] as const) {
      const count = judged.delivered.filter((one) => one.via === via).length;
      if (count > 0) events.mailDelivered(count, via, now - queuedAt);
    }
    const [first] = judged.deferred;
    if (first !== undefined) {
      const { problem, attempts, at } = first;
      events.mailDeferred(
        destination,
        judged.deferred.length,
        problem.status,
        problem.text,
        attempts,
        new Date(at),
      );
    }
    const [failed] = judged.bounced;
    if (failed !== undefined) {
      const { status, text } = failed.recipient;
      events.mailFailed(destination, judged.bounced.length, status, text);
    }
  };

  return async (batch, lease, signal) => {
    const loaded = await loader.load(batch, signal).catch((error: unknown) => {
      report(error);
      return 'unreadable' as const;
    });
    if (loaded === 'gone') return undefined;
    if (typeof loaded === 'string') {
      // It is for the operator to mend, and nobody was asked: the rows are due again as ever, and none is given up.
      const outcomes = batch.rows.map(() => deferred(OURS[loaded]));
      await settle(batch, lease, outcomes, { header: NO_HEADER, giveUpAfter: Infinity });
      return undefined;
    }
    using held = loaded;
    // The claim or the bytes may have taken long to come.
    const isOurs = await lease.holds().catch((error: unknown) => {
      report(error);
      return false;
    });
    if (!isOurs) {
      if (lease.lost) breakOff(batch);
      return undefined;
    }
    const outcomes = await outcomesOf(batch, held.message, signal);
    await settle(batch, lease, outcomes, { header: held.header, giveUpAfter: lifetime });
    return closing.aborted || lease.lost ? undefined : outcomes.some(isAnswer);
  };
}

/** The destination is there: it took a recipient, or refused it for good or for now. A name that is not in DNS says nothing. */
function isAnswer(outcome: RecipientOutcome): boolean {
  if (outcome.kind === 'delivered') return true;
  const { reply, host } = outcome.problem;
  return reply !== undefined || (outcome.kind === 'failed' && host !== undefined);
}

/** Rows whose bounce could not be kept are not done: they are tried again with it, however old they are. */
function putOff({ rows }: QueueBatch, judged: Judged, now: number): readonly RowOutcome[] {
  const indexes = new Set(judged.bounced.map(({ index }) => index));
  return judged.rows.map((row, index) => {
    if (!indexes.has(index)) return row;
    const at = now + waitAfter(rows[index]?.attempts ?? 0);
    return { kind: 'retry', at, reason: 'the bounce could not be kept' };
  });
}

function deferred(text: string): RecipientOutcome {
  return { kind: 'deferred', problem: { status: '4.3.0', host: undefined, reply: undefined, text } };
}

const OURS = {
  busy: 'too many large messages are on their way',
  unreadable: 'this relay could not read or sign the message',
} as const;

const NO_HEADER = Buffer.alloc(0);
