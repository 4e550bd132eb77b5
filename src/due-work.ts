import { minute, second } from './clock.ts';
import type { Clock, Timer } from './clock.ts';

/** Between two looks where the store says "due" but gives nothing, and after its first failure. */
export const SHORT_WAIT = second;
/** After more failures: work is late by this at most when the store is back. */
const LONGEST_STORE_WAIT = 8 * second;
/** Work left behind by another process of the cluster is found without a word of the bus. */
export const LONGEST_WAIT = minute;

export interface DueWorkParts {
  readonly clock: Clock;
  /** Starts what is due and can be started; answers with the milliseconds until more is due, unless something happens. */
  readonly look: () => Promise<number>;
  /** `look` has failed. */
  readonly report: (error: unknown) => void;
}

/** Looks for work in the store when something happened and when the next is due, and knows what is under way. */
export interface DueWork {
  readonly ended: boolean;
  /** Looks for the first time. */
  begin(): void;
  /**
   * Something happened that may have brought work or freed a slot: looks now, or once more when a look is under way,
   * never two at once. Where the store fails, time alone sets the pace.
   */
  readonly wake: () => void;
  /** Must have ended before the store may be closed. Never to be handed what rejects. */
  track(work: Promise<void>): void;
  /** From now on nothing is looked for. */
  end(): void;
  /** After `end`: resolves when all that is tracked has ended. */
  settled(): Promise<void>;
}

export function createDueWork({ clock, look, report }: DueWorkParts): DueWork {
  const unfinished = new Set<Promise<void>>();
  let ended = false;
  let looking = false;
  let lookAgain = false;
  let timer: Timer | undefined;
  let storeFailures = 0;

  const track = (work: Promise<void>) => {
    const ending = work.finally(() => unfinished.delete(ending));
    unfinished.add(ending);
  };

  const wake = () => {
    if (storeFailures === 0) lookNow();
  };

  const lookNow = () => {
    if (ended) return;
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = true;
    lookAgain = false;
    timer?.[Symbol.dispose]();
    timer = undefined;
    track(
      look()
        .then((wait) => {
          storeFailures = 0;
          return wait;
        }, failed)
        .then((wait) => {
          looking = false;
          if (ended) return;
          timer = clock.after(Math.min(wait, LONGEST_WAIT), lookNow);
          if (lookAgain) wake();
        }),
    );
  };

  const failed = (error: unknown): number => {
    report(error);
    return Math.min(SHORT_WAIT * 2 ** storeFailures++, LONGEST_STORE_WAIT);
  };

  return {
    get ended() {
      return ended;
    },
    begin: lookNow,
    wake,
    track,
    end() {
      ended = true;
      timer?.[Symbol.dispose]();
    },
    async settled() {
      while (unfinished.size > 0) await Promise.all(unfinished);
    },
  };
}
