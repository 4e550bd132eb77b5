import { minute, second } from '../clock.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Queue, QueueBatch } from '../store/contract.ts';

/**
 * How long a claim is good: what a dead process had is tried by another after that. A store that is away for less than
 * LEASE - RENEW_EVERY costs nobody a claim.
 */
export const LEASE = 1.5 * minute;
/** A try that takes longer than this has its claim renewed, and all others that are under way in the same call. */
export const RENEW_EVERY = 15 * second;
/** Between two tries to renew where the store fails, at first and at most. */
const SHORT_WAIT = second;
export const LONGEST_RENEWAL_WAIT = 8 * second;

/** The claim of one batch; disposed of when its try is over. */
export interface Lease extends Disposable {
  /** Another has it by now, as far as is known here. */
  readonly lost: boolean;
  /**
   * Whether the claim is good, so that something may be begun that another would do again; asks the store where the
   * lease may have ended. Rejects as the store does.
   */
  holds(): Promise<boolean>;
}

/**
 * The claims of the tries under way. They are renewed until they are disposed of. Where the store is away, their tries go
 * on: nobody else can claim them either, unless only this process is cut off; then one of two does what both began.
 */
export interface Leases {
  /** `since`: when it was claimed. `onLost` is called once, when the store says that the claim is lost. */
  take(batch: QueueBatch, since: number, onLost: () => void): Lease;
  /**
   * Undefined where no lease is over: then a claim of this instant gets nothing that is under way here. Else it renews
   * them, and is to be asked again. Rejects as the store does.
   */
  renewIfOver(): Promise<void> | undefined;
  /** Renews no more. */
  end(): void;
}

export interface LeasesParts {
  readonly queue: Pick<Queue, 'renew'>;
  readonly clock: Clock;
  /** Renewing has failed; it is tried again. */
  readonly report: (error: unknown) => void;
  /** Must have ended before the store may be closed. */
  readonly track: (work: Promise<void>) => void;
}

interface Held {
  readonly batch: QueueBatch;
  readonly onLost: () => void;
  /** When the lease ends, if nothing is heard of the store. */
  until: number;
  lost: boolean;
}

export function createLeases({ queue, clock, report, track }: LeasesParts): Leases {
  const held = new Set<Held>();
  let timer: Timer | undefined;
  let renewing: Promise<void> | undefined;
  let failures = 0;
  let ended = false;

  /** All at once, and never two of these at a time. */
  const renew = (): Promise<void> => {
    stop();
    renewing ??= renewAll().finally(() => {
      renewing = undefined;
      plan();
    });
    return renewing;
  };

  const renewAll = async () => {
    const now = clock.now();
    const all = [...held];
    const batches = all.map(({ batch }) => batch);
    failures += 1;
    const lost = new Set(await queue.renew(now, batches, LEASE));
    failures = 0;
    for (const one of all) {
      if (!lost.has(one.batch)) one.until = Math.max(one.until, now + LEASE);
      // Its try may be over meanwhile: what it settled is its own no more.
      else if (held.delete(one)) lose(one);
    }
  };

  const lose = (one: Held) => {
    one.lost = true;
    one.onLost();
  };

  const stop = () => {
    timer?.[Symbol.dispose]();
    timer = undefined;
  };

  const plan = () => {
    if (ended || renewing !== undefined || timer !== undefined || held.size === 0) return;
    const earliest = Math.min(...[...held].map(({ until }) => until)) - LEASE + RENEW_EVERY;
    const wait = failures === 0 ? 0 : Math.min(SHORT_WAIT * 2 ** (failures - 1), LONGEST_RENEWAL_WAIT);
    timer = clock.after(Math.max(earliest - clock.now(), wait), () => {
      timer = undefined;
      // The oldest may have ended meanwhile.
      if ([...held].every(({ until }) => until - LEASE + RENEW_EVERY > clock.now())) return plan();
      track(renew().catch(report));
    });
  };

  const isOver = ({ until }: Held) => until <= clock.now();

  return {
    take(batch, since, onLost) {
      const one: Held = { batch, onLost, until: since + LEASE, lost: false };
      held.add(one);
      plan();
      return {
        get lost() {
          return one.lost;
        },
        async holds() {
          while (!one.lost && isOver(one)) await renew();
          return !one.lost;
        },
        [Symbol.dispose]() {
          held.delete(one);
          if (held.size === 0) stop();
        },
      };
    },
    renewIfOver: () => ([...held].some(isOver) ? renew() : undefined),
    end() {
      ended = true;
      stop();
    },
  };
}
