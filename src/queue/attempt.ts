import { pause, second, minute } from '../clock.ts';
import type { Clock, Random } from '../clock.ts';
import type { Undelivered } from '../message/dsn.ts';
import type { Events } from '../observe/events.ts';
import type { RecipientOutcome, SendOut } from '../outbound/consignment.ts';
import { StoreUnavailable } from '../store/contract.ts';
import type { Queue, QueueBatch, RowOutcome } from '../store/contract.ts';
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
  readonly events: Pick<Events, 'mailDelivered' | 'mailDeferred' | 'mailFailed' | 'fault'>;
  readonly report: (error: unknown) => void;
  /** Aborted when the relay is being stopped. */
  readonly closing: AbortSignal;
}

/**
 * One try: a batch from its claim to its settlement. Resolves with whether the destination answered; undefined where it
 * was not asked. Never rejects but for a fault of ours.
 */
export type Attempt = (batch: QueueBatch, signal: AbortSignal) => Promise<boolean | undefined>;

/** How long the store is asked again to keep what came of a try: within the lease (worker.ts), else it is done twice. */
export const SETTLE_TIME = 3 * minute;
const SHORT_WAIT = second;
const LONGEST_WAIT = 8 * second;

export function createAttempt(parts: AttemptParts): Attempt {
  const { queue, loader, send, bounce, lifetime, clock, random, events, report, closing } = parts;

  /** A store that fails is asked again for a while: without settlement the message would be sent once more. */
  const insist = async (act: () => Promise<void>): Promise<boolean> => {
    const end = clock.now() + SETTLE_TIME;
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
    const kept = await tellSender(batch, judged, header);
    const rows = kept ? judged.rows : putOff(batch, judged, now);
    if (await insist(() => queue.settle(batch, rows))) tell(batch, judged, now);
  };

  const tellSender = async (batch: QueueBatch, { bounced }: Judged, header: Buffer): Promise<boolean> => {
    const { sender, queuedAt: acceptedAt } = batch;
    // RFC 5321 4.5.5: a bounce is never bounced.
    if (bounced.length === 0 || sender === '') return true;
    const recipients = bounced.map(({ recipient }) => recipient);
    return insist(() => bounce({ sender, header, acceptedAt, recipients }));
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

  return async (batch, signal) => {
    const loaded = await loader.load(batch, signal).catch((error: unknown) => {
      report(error);
      return 'unreadable' as const;
    });
    if (loaded === 'gone') return undefined;
    if (typeof loaded === 'string') {
      // It is for the operator to mend, and nobody was asked: the rows are due again as ever, and none is given up.
      const outcomes = batch.rows.map(() => deferred(OURS[loaded]));
      await settle(batch, outcomes, { header: NO_HEADER, giveUpAfter: Infinity });
      return undefined;
    }
    using held = loaded;
    const outcomes = await outcomesOf(batch, held.message, signal);
    await settle(batch, outcomes, { header: held.header, giveUpAfter: lifetime });
    return closing.aborted ? undefined : outcomes.some(isAnswer);
  };
}

/** The destination is there: it took a recipient, or refused it for good or for now. */
function isAnswer(outcome: RecipientOutcome): boolean {
  return outcome.kind !== 'deferred' || outcome.problem.reply !== undefined;
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
