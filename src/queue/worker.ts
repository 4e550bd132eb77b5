import { minute } from '../clock.ts';
import type { Clock, Random } from '../clock.ts';
import type { Signer } from '../dkim/signer.ts';
import { createDueWork, LONGEST_WAIT, SHORT_WAIT } from '../due-work.ts';
import type { Undelivered } from '../message/dsn.ts';
import type { Events } from '../observe/events.ts';
import type { SendOut } from '../outbound/consignment.ts';
import { MAX_EXCEPT, StoreUnavailable } from '../store/contract.ts';
import type { Queue, QueueBatch, Store } from '../store/contract.ts';
import { createAttempt } from './attempt.ts';
import { createDestinations } from './destinations.ts';
import { createLeases, LEASE, LONGEST_RENEWAL_WAIT, RENEW_EVERY } from './leases.ts';
import { createLoader } from './loaded.ts';

export interface QueueParts {
  readonly store: Pick<Store, 'queue'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Calls its listener whenever a row came into the queue; answers with what ends that (notify/changes.ts). */
  readonly onQueue: (listener: () => void) => () => void;
  readonly signer: Signer;
  readonly send: SendOut;
  /**
   * Tells the sender what failed; what it tells is durable when it resolves. Never called for the null sender. Rejects
   * as the store does.
   */
  readonly bounce: (undelivered: Undelivered) => Promise<void>;
  /** maximal_queue_lifetime in milliseconds. */
  readonly lifetime: number;
  /** Bytes of large messages in memory at once, see loaded.ts. */
  readonly memory: number;
  readonly events: Pick<
    Events,
    'mailDelivered' | 'mailDeferred' | 'mailFailed' | 'mailClaimLost' | 'storeUnavailable' | 'fault'
  >;
  /** Tries at once over all destinations; SLOTS unless said. */
  readonly slots?: number;
}

/** With small messages in all of them they hold 64 MB. */
export const SLOTS = 256;
/** Recipients in one try: RFC 5321 4.5.3.1.8 lets a server take no more, and so does /mxdeliv (relay.md 3). */
export const ROWS_PER_BATCH = 100;
/** After this a try is cut off, whatever it is at: RFC 5321 4.5.3.2.6 gives the end of DATA ten minutes alone. */
export const ATTEMPT_TIME = 15 * minute;
/**
 * After the store was away for so long that leases may have ended, nothing is claimed for a while: so everybody who still
 * lives renews what it has, or settles it, before another takes it for dead.
 */
export const OTHERS_FIRST = 2 * LONGEST_RENEWAL_WAIT;
/** Batches fetched at once. */
const MAX_CLAIMED_AT_ONCE = 32;

/**
 * Brings what is in the queue to other relays: woken by the commit that puts a row there, and by the time at which one
 * is due. A destination has a few tries at once and no more, so that a slow or dead one delays no other, however
 * many there are (destinations.ts). Rows live in the store: what is not settled at the end is tried again.
 */
export function createQueue(parts: QueueParts): AsyncDisposable {
  const { store, clock, onQueue, events, slots = SLOTS } = parts;
  const { queue } = store;
  const destinations = createDestinations(slots);
  /** The tries under way; aborting one gives back what it has not brought away. */
  const tries = new Set<AbortController>();
  const closing = new AbortController();

  const report = (error: unknown) => {
    if (error instanceof StoreUnavailable) events.storeUnavailable(error);
    else events.fault('queue', error);
  };
  const attempt = createAttempt({
    ...parts,
    queue,
    loader: createLoader({ queue, signer: parts.signer, memory: parts.memory }),
    report,
    closing: closing.signal,
  });

  /** When the store has answered last, and whether it has failed since. */
  let answered = clock.now();
  let failed = false;
  let othersUntil = 0;

  /**
   * Where more is due than one claim gives, those that answered the last time have every second one, and of all others
   * each has its turn before one that was served comes again: a burst, however large, is not before everybody else.
   */
  let turn = false;
  const served = new Set<string>();

  /** Starts what can be started; answers with how long nothing more is to be done unless something happens. */
  const look = async (): Promise<number> => {
    while (!work.ended) {
      const free = slots - tries.size;
      // The end of a try looks again.
      if (free <= 0) return LONGEST_WAIT;
      if (failed && clock.now() - answered >= LEASE - RENEW_EVERY) {
        await queue.nextDue([]);
        failed = false;
        othersUntil = clock.now() + OTHERS_FIRST;
      }
      if (clock.now() < othersUntil) return othersUntil - clock.now();
      // Else we would claim what we have under way ourselves.
      const renewing = leases.renewIfOver();
      if (renewing !== undefined) {
        await renewing;
        continue;
      }
      const since = clock.now();
      const limit = Math.min(free, MAX_CLAIMED_AT_ONCE, destinations.room());
      const only = destinations.only(turn);
      const batches = await claim(limit, since, only);
      for (const batch of batches) start(batch, since);
      answered = clock.now();
      failed = false;
      if (turn) {
        turn = false;
        continue;
      }
      if (batches.length >= limit) {
        turn = true;
        for (const { destination } of batches) served.add(destination);
        continue;
      }
      if (batches.length > 0 || served.size > 0) {
        served.clear();
        continue;
      }
      const wait = ((await queue.nextDue(destinations.atBound())) ?? Infinity) - clock.now();
      return wait > 0 ? wait : SHORT_WAIT;
    }
    return LONGEST_WAIT;
  };

  const claim = (
    limit: number,
    now: number,
    only: readonly string[] | undefined,
  ): ReturnType<Queue['claim']> =>
    queue.claim(now, {
      limit,
      perDestination: destinations.leastRoom(),
      rowsPerBatch: ROWS_PER_BATCH,
      leaseMs: LEASE,
      except: [...new Set([...destinations.atBound(), ...served])].slice(0, MAX_EXCEPT),
      only,
    });

  const work = createDueWork({
    clock,
    look,
    report: (error) => {
      failed = true;
      report(error);
    },
  });

  const leases = createLeases({ queue, clock, report, track: (some) => work.track(some) });

  const start = (batch: QueueBatch, since: number) => {
    const cut = new AbortController();
    const lease = leases.take(batch, since, () => cut.abort('its claim was lost'));
    tries.add(cut);
    destinations.began(batch.destination);
    if (work.ended) cut.abort('this relay was being stopped');
    const timeout = clock.after(ATTEMPT_TIME, () => cut.abort('the try was cut off after 15 minutes'));
    const over = (reached: boolean | undefined) => {
      timeout[Symbol.dispose]();
      lease[Symbol.dispose]();
      tries.delete(cut);
      destinations.ended(batch.destination, reached);
      work.wake();
    };
    work.track(
      attempt(batch, lease, cut.signal).then(over, (error: unknown) => {
        report(error);
        over(undefined);
      }),
    );
  };

  const stopListening = onQueue(work.wake);
  work.begin();

  return {
    /** Claims nothing more, cuts off what is under way (to be tried again) and resolves when all is settled. */
    async [Symbol.asyncDispose]() {
      work.end();
      leases.end();
      closing.abort();
      stopListening();
      for (const cut of tries) cut.abort('this relay was being stopped');
      await work.settled();
    },
  };
}
