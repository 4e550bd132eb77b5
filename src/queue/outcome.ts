import type { RecipientOutcome, Problem } from '../outbound/consignment.ts';
import type { FailedRecipient } from '../message/dsn.ts';
import type { QueueBatch, RowOutcome } from '../store/contract.ts';
import { MAX_REASON } from '../store/contract.ts';
import { inWords, nextTry } from './schedule.ts';

/** What is to be done after a try, row by row. */
export interface Judged {
  /** By the rows of the batch; a row of `bounced` is `done` here, which holds once its bounce is durable. */
  readonly rows: readonly RowOutcome[];
  readonly delivered: readonly Extract<RecipientOutcome, { kind: 'delivered' }>[];
  readonly deferred: readonly { readonly problem: Problem; readonly at: number; readonly attempts: number }[];
  /** `index` of the row. */
  readonly bounced: readonly { readonly index: number; readonly recipient: FailedRecipient }[];
}

export interface Judging {
  readonly now: number;
  /** maximal_queue_lifetime in milliseconds. */
  readonly lifetime: number;
  /** From 0 up to 1. */
  readonly chance: number;
  /** The try was broken off because the relay stops: what is deferred is due at once, and nothing is given up. */
  readonly stopped: boolean;
}

/** Pure: what becomes of each row of a batch whose recipients came out as `outcomes`, in the order of the rows. */
export function judgeOutcomes(
  batch: Pick<QueueBatch, 'rows' | 'queuedAt'>,
  outcomes: readonly RecipientOutcome[],
  { now, lifetime, chance, stopped }: Judging,
): Judged {
  const rows: RowOutcome[] = [];
  const delivered: Judged['delivered'][number][] = [];
  const deferred: Judged['deferred'][number][] = [];
  const bounced: Judged['bounced'][number][] = [];
  for (const [index, { recipient, attempts }] of batch.rows.entries()) {
    const outcome = outcomes[index] ?? NOT_TOLD;
    if (outcome.kind === 'delivered') {
      rows.push({ kind: 'done' });
      delivered.push(outcome);
      continue;
    }
    const { problem } = outcome;
    if (outcome.kind === 'failed') {
      rows.push({ kind: 'done' });
      bounced.push({ index, recipient: { address: recipient, ...problem } });
      continue;
    }
    const at = stopped ? now : nextTry({ attempts, queuedAt: batch.queuedAt }, now, lifetime, chance);
    if (at === undefined) {
      rows.push({ kind: 'done' });
      bounced.push({ index, recipient: expired(recipient, problem, now - batch.queuedAt) });
    } else {
      rows.push({ kind: 'retry', at, reason: reasonOf(problem) });
      deferred.push({ problem, at, attempts: attempts + 1 });
    }
  }
  return { rows, delivered, deferred, bounced };
}

/** One line for people: what went wrong, who said it and what. */
export function reasonOf({ text, host, reply }: Problem): string {
  const said = reply === undefined ? '' : `; ${host ?? 'the other side'} said: ${reply}`;
  return `${text}${said}`.slice(0, MAX_REASON);
}

/** RFC 3463 3.5, X.4.7: its time is over; the last try says why. */
function expired(address: string, problem: Problem, age: number): FailedRecipient {
  const text = `tried for ${inWords(age)} without success, the last time: ${problem.text}`;
  return { ...problem, address, status: '4.4.7', text };
}

/** SendOut promises an outcome for each recipient; a row is not lost where one is missing. */
const NOT_TOLD: RecipientOutcome = {
  kind: 'deferred',
  problem: { status: '4.3.0', host: undefined, reply: undefined, text: 'no outcome was told' },
};
