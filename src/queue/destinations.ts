import { MAX_EXCEPT } from '../store/contract.ts';

/** Tries to one destination at once. Each is a connection there, and Postfix takes 50 from one client. */
export const PER_DESTINATION = 4;
/** Destinations remembered as having failed; more are treated as if they had not. */
export const MAX_FAILING = 500;

/**
 * Which destinations may have another try now. One that failed the last time has one try at once until it answers
 * again, and all such together have half of the slots: however many are dead, the others go on.
 */
export interface Destinations {
  /** Those that may have no further try now; at most MAX_EXCEPT with up to MAX_EXCEPT - MAX_FAILING slots. */
  atBound(): readonly string[];
  /** Further tries that every destination not at its bound may have; at least 1. */
  leastRoom(): number;
  /** Further tries that may be begun at once without breaking the share of those that failed; at least 1. */
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
  const shareOfFailing = Math.max(1, Math.floor(slots / 2));
  let failingUnderWay = 0;

  const boundOf = (destination: string) => (failing.has(destination) ? 1 : PER_DESTINATION);
  const count = () => {
    failingUnderWay = 0;
    for (const [destination, tries] of underWay) if (failing.has(destination)) failingUnderWay += tries;
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
      const below = [...underWay].filter(([destination, tries]) => tries < boundOf(destination));
      return PER_DESTINATION - Math.max(0, ...below.map(([, tries]) => tries));
    },
    room() {
      count();
      return failing.size === 0 || failingUnderWay >= shareOfFailing
        ? slots
        : Math.max(1, shareOfFailing - failingUnderWay);
    },
    began: (destination) => void underWay.set(destination, (underWay.get(destination) ?? 0) + 1),
    ended(destination, reached) {
      const left = (underWay.get(destination) ?? 1) - 1;
      if (left > 0) underWay.set(destination, left);
      else underWay.delete(destination);
      if (reached === undefined) return;
      if (reached) {
        failing.delete(destination);
      } else if (!failing.has(destination)) {
        const [oldest] = failing;
        if (failing.size >= MAX_FAILING && oldest !== undefined) failing.delete(oldest);
        failing.add(destination);
      }
    },
  };
}
