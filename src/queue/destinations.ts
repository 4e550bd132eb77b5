import { MAX_EXCEPT } from '../store/contract.ts';

/** Tries to one destination at once. Each is a connection there, and Postfix takes 50 from one client. */
export const PER_DESTINATION = 4;
/** The same of one that nobody knows yet: two, so that one large message does not hold up all that follow. */
export const PER_STRANGER = 2;
/** Destinations remembered as having failed; more are treated as if they had not. */
export const MAX_FAILING = 500;
/** Destinations remembered as having answered the last time, and not to be held up by any number of others. */
export const MAX_ANSWERED = 1000;

/**
 * Which destinations may have another try now. One that failed the last time has one try at once until it answers
 * again, and all such together have half of the slots. One that has not answered yet has two: a few dozen that hang from
 * the first try on must not use up what is left for others. A quarter is for those that answered the last time, so that
 * one user who writes to ten thousand dead names, each for the first time, holds up nobody's mail between living relays.
 */
export interface Destinations {
  /**
   * Those that answered the last time, at most MAX_EXCEPT: when the others have their share, or it is their `turn` and
   * there are some. Else undefined: any.
   */
  only(turn: boolean): readonly string[] | undefined;
  /** Those that may have no further try now; at most MAX_EXCEPT with up to MAX_EXCEPT - MAX_FAILING slots. */
  atBound(): readonly string[];
  /** Further tries that every destination not at its bound may have; at least 1. */
  leastRoom(): number;
  /** Further tries that may be begun at once without breaking a share; at least 1. */
  room(): number;
  began(destination: string): void;
  /** `reached` tells whether it answered; undefined where it was not asked. */
  ended(destination: string, reached: boolean | undefined): void;
}

/** `slots`: tries at once over all. */
export function createDestinations(slots: number): Destinations {
  const underWay = new Map<string, number>();
  /** In the order in which they failed. */
  const failing = new Set<string>();
  /** In the order in which they answered. */
  const answered = new Set<string>();
  const shareOfFailing = Math.max(1, Math.floor(slots / 2));
  const shareOfStrangers = slots - Math.floor(slots / 4);
  let failingUnderWay = 0;
  let strangersUnderWay = 0;

  const boundOf = (destination: string) =>
    answered.has(destination) ? PER_DESTINATION : failing.has(destination) ? 1 : PER_STRANGER;
  const count = () => {
    failingUnderWay = 0;
    strangersUnderWay = 0;
    for (const [destination, tries] of underWay) {
      if (failing.has(destination)) failingUnderWay += tries;
      if (!answered.has(destination)) strangersUnderWay += tries;
    }
  };
  const remember = (destination: string, set: Set<string>, most: number) => {
    set.add(destination);
    const [oldest] = set;
    if (set.size > most && oldest !== undefined) set.delete(oldest);
  };

  return {
    atBound() {
      count();
      const full = [...underWay].filter(([destination, tries]) => tries >= boundOf(destination));
      const except = new Set(full.map(([destination]) => destination));
      if (failingUnderWay >= shareOfFailing) for (const one of failing) except.add(one);
      return [...except].slice(0, MAX_EXCEPT);
    },
    leastRoom() {
      // A claim may not tell them apart: where one that failed is not excepted, each gets one.
      if ([...failing].some((one) => !underWay.has(one))) return 1;
      const rooms = [...underWay].map(([destination, tries]) => boundOf(destination) - tries);
      return Math.min(PER_STRANGER, ...rooms.filter((room) => room > 0));
    },
    only(turn) {
      count();
      const all = strangersUnderWay < shareOfStrangers && !(turn && answered.size > 0);
      return all ? undefined : [...answered];
    },
    room() {
      count();
      if (strangersUnderWay >= shareOfStrangers) return slots;
      const strangers = shareOfStrangers - strangersUnderWay;
      return failing.size === 0 || failingUnderWay >= shareOfFailing
        ? strangers
        : Math.max(1, Math.min(strangers, shareOfFailing - failingUnderWay));
    },
    began: (destination) => void underWay.set(destination, (underWay.get(destination) ?? 0) + 1),
    ended(destination, reached) {
      const left = (underWay.get(destination) ?? 1) - 1;
      if (left > 0) underWay.set(destination, left);
      else underWay.delete(destination);
      if (reached === undefined) return;
      answered.delete(destination);
      if (reached) {
        failing.delete(destination);
        remember(destination, answered, MAX_ANSWERED);
      } else {
        remember(destination, failing, MAX_FAILING);
      }
    },
  };
}
