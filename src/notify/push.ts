import { hour, minute, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { createDueWork, LONGEST_WAIT, SHORT_WAIT } from '../due-work.ts';
import type { Events } from '../observe/events.ts';
import { StoreUnavailable } from '../store/contract.ts';
import type { PushJob, PushOutcome, Store } from '../store/contract.ts';
import type { Changes } from './changes.ts';
import { postToken } from './post-token.ts';
import type { PostResult } from './post-token.ts';

export interface PushParts {
  readonly store: Pick<Store, 'pushJobs'>;
  readonly clock: Clock;
  readonly changes: Pick<Changes, 'onPush'>;
  /** notifier_url. */
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly events: Pick<
    Events,
    'pushSent' | 'pushFailed' | 'pushGivenUp' | 'tokenDropped' | 'storeUnavailable' | 'fault'
  >;
  /** POSTs at once, each a connection to the notifier; 128 unless said: 2500 a second at 50 ms each. */
  readonly slots?: number;
}

const SLOTS = 128;
/** relay.md 5: how long a try may take while nobody needs its slot. */
export const POST_TIMEOUT = minute;
/** After this a try is cut off if all slots are taken and another token waits: so long can slow ones hold up others. */
export const PATIENCE = 5 * second;
/** What a burst is: within it there is one POST for a token; the notifier drops a second one (relay.md 5). */
export const BURST = second;
/** relay.md 5: seconds after each failed try; the fifth is the last. */
export const RETRY_AFTER: readonly number[] = [8, 64, 512, 4096].map((seconds) => seconds * second);
/** relay.md 5: from the newest message; news older than that is no news. */
export const MAX_AGE = 5 * hour;

/** A claim outlives its try, the wait for the end of the burst and a slow store. */
const LEASE = POST_TIMEOUT + 30 * second;
/** Jobs fetched at once: no more than can be begun in one turn of the loop without anybody noticing. */
const MAX_CLAIMED_AT_ONCE = 32;
/** Tokens whose burst is waited out at once; past it a POST too many is the smaller evil. */
const MAX_QUIET = 10_000;
/**
 * The notifier's client: POSTs the token of every push job that is due and settles the job (relay.md 5). Each try has a
 * slot of its own, so a slow or dead token holds up nobody; where all slots are taken, the oldest try past its patience
 * makes room. Jobs live in the store: what is not settled at the end is tried again after the next start.
 */
export function createPush(parts: PushParts): AsyncDisposable {
  const { store, clock, changes, url, fetch, events, slots = SLOTS } = parts;
  /** Tries under way, the oldest first. */
  const tries = new Set<Try>();
  /** Tokens that were reached and wait for the end of their burst. */
  const quiet = new Set<() => void>();
  // ---- looking for jobs ----

  /** Starts what can be started; answers with how long nothing more is to be done unless something happens. */
  const look = async (): Promise<number> => {
    while (!work.ended) {
      const free = slots - tries.size;
      if (free > 0) {
        const jobs = await store.pushJobs.claim(clock.now(), Math.min(free, MAX_CLAIMED_AT_ONCE), LEASE);
        for (const job of jobs) work.track(handle(job));
        if (jobs.length > 0) continue;
      }
      const wait = ((await store.pushJobs.nextDue()) ?? Infinity) - clock.now();
      if (wait > 0) return wait;
      return free > 0 ? SHORT_WAIT : makeRoom();
    }
    return LONGEST_WAIT;
  };

  /** Cuts off the oldest try if it has had its time; its end looks again. One at a time: one job is known to wait. */
  const makeRoom = (): number => {
    const [oldest] = tries;
    if (oldest === undefined || oldest.cut.signal.aborted) return LONGEST_WAIT;
    const wait = oldest.startedAt + PATIENCE - clock.now();
    if (wait > 0) return wait;
    oldest.cut.abort('cut off for others');
    return LONGEST_WAIT;
  };

  const report = (error: unknown) => {
    if (error instanceof StoreUnavailable) events.storeUnavailable(error);
    else events.fault('push', error);
  };

  const work = createDueWork({ clock, look, report });

  // ---- one job ----

  const handle = async (job: PushJob): Promise<void> => {
    const startedAt = clock.now();
    const result = await post(job, startedAt);
    const outcome = outcomeOf(job, result, startedAt + BURST, clock.now());
    tell(job, result, outcome);
    if (outcome.kind === 'done') await burstOver(startedAt + BURST);
    try {
      await store.pushJobs.settle(job, outcome);
    } catch (error) {
      // The lease ends by itself; then it is tried again.
      report(error);
    }
    work.wake();
  };

  /** The slot is free again when this is over. */
  const post = async (job: PushJob, startedAt: number): Promise<PostResult> => {
    const attempt: Try = { startedAt, cut: new AbortController() };
    tries.add(attempt);
    using _timeout = clock.after(POST_TIMEOUT, () => attempt.cut.abort('time-out'));
    if (work.ended) attempt.cut.abort('shutting down');
    const result = await postToken(fetch, url, job.token, attempt.cut.signal);
    tries.delete(attempt);
    work.wake();
    return result;
  };

  /** Until then the job stays claimed, so that more messages mark it instead of making another. */
  const burstOver = async (at: number): Promise<void> => {
    const wait = at - clock.now();
    if (work.ended || wait <= 0 || quiet.size >= MAX_QUIET) return;
    await new Promise<void>((resolve) => {
      const over = () => {
        quiet.delete(over);
        rest[Symbol.dispose]();
        resolve();
      };
      const rest = clock.after(wait, over);
      quiet.add(over);
    });
  };

  const tell = (job: PushJob, result: PostResult, outcome: PushOutcome) => {
    const attempts = job.attempts + 1;
    if (result.kind === 'failed') events.pushFailed(attempts, result.reason);
    if (outcome.kind === 'done') events.pushSent(attempts);
    if (outcome.kind === 'gone') events.tokenDropped();
    if (outcome.kind === 'give-up') events.pushGivenUp(attempts);
  };

  const stopListening = changes.onPush(work.wake);
  work.begin();

  return {
    /** Claims nothing more, cuts off what is under way (to be tried again) and resolves when all is settled. */
    async [Symbol.asyncDispose]() {
      work.end();
      stopListening();
      for (const { cut } of tries) cut.abort('shutting down');
      for (const over of [...quiet]) over();
      await work.settled();
    },
  };
}

interface Try {
  readonly startedAt: number;
  readonly cut: AbortController;
}

function outcomeOf(job: PushJob, result: PostResult, againAt: number, now: number): PushOutcome {
  if (result.kind === 'sent') return { kind: 'done', againAt };
  if (result.kind === 'gone') return { kind: 'gone' };
  const at = nextTry(job, now);
  return at === undefined ? { kind: 'give-up', againAt } : { kind: 'retry', at, againAt };
}

/** When a job that failed at `now` is tried again; undefined where it is given up. */
export function nextTry(job: Pick<PushJob, 'attempts' | 'since'>, now: number): number | undefined {
  const wait = RETRY_AFTER[job.attempts];
  if (wait === undefined || now + wait > job.since + MAX_AGE) return undefined;
  return now + wait;
}
