import type { Clock, Timer } from '../clock.ts';
import { minute } from '../clock.ts';
import type { ByteBudget } from '../limits/byte-budget.ts';

/** A peer who is in the middle of a big literal holds our memory: it goes on, or it goes. */
export const LITERAL_TIMEOUT = minute;

/** The memory that the big literals of one session's command may take. */
export interface LiteralMemory {
  /** Sets `bytes` aside and begins to watch that they come; false where there is not so much left. */
  reserve(bytes: number): boolean;
  /** They have all come: they stay set aside until the command is done. */
  arrived(): void;
  /** The command is done, or was dropped. */
  release(): void;
}

export function createLiteralMemory(options: {
  readonly byteBudget: ByteBudget;
  readonly clock: Clock;
  /** When the peer last sent something. */
  readonly lastInput: () => number;
  /** It has sent nothing for `LITERAL_TIMEOUT`. */
  readonly onStall: () => void;
}): LiteralMemory {
  const { byteBudget, clock, lastInput, onStall } = options;
  let reservations: (() => void)[] = [];
  let timer: Timer | undefined;

  function watch(): void {
    const left = lastInput() + LITERAL_TIMEOUT - clock.now();
    if (left > 0) timer = clock.after(left, watch);
    else onStall();
  }

  function arrived(): void {
    timer?.[Symbol.dispose]();
    timer = undefined;
  }

  return {
    reserve(bytes) {
      const release = byteBudget.reserve(bytes);
      if (!release) return false;
      reservations.push(release);
      timer ??= clock.after(LITERAL_TIMEOUT, watch);
      return true;
    },
    arrived,
    release() {
      arrived();
      for (const release of reservations) release();
      reservations = [];
    },
  };
}
