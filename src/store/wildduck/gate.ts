import { StoreUnavailable } from '../contract.ts';
import { wrap } from './connect.ts';

export interface Gate {
  /**
   * The same methods, let in until it is closed; errors of the database come out as the contract's. Those named in
   * `telling` are let in only while the change bus is connected, too.
   */
  <T extends object>(methods: T, ...telling: readonly (keyof T & string)[]): T;
  readonly isClosing: () => boolean;
  /** Lets nothing in any more, and waits for what is under way. */
  readonly close: () => Promise<void>;
}

type Method = (...given: unknown[]) => Promise<unknown>;

/**
 * `connected`: whether the other processes hear what this one changes, and this one hears them. While they do not, a
 * client elsewhere would be told that its mailbox is as it was: so nothing is changed that somebody may be looking at,
 * nor does anybody begin to look. There is no grace, for what is put off for a moment is only tried again.
 */
export function createGate(connected: () => boolean): Gate {
  const underWay = new Set<Promise<unknown>>();
  let closing = false;
  const pass = async (work: () => Promise<unknown>, tells: boolean) => {
    if (closing) throw new StoreUnavailable('the store is closed');
    if (tells && !connected()) throw new StoreUnavailable('Redis does not tell of changes');
    const promise = wrap(work);
    underWay.add(promise);
    try {
      return await promise;
    } finally {
      underWay.delete(promise);
    }
  };
  const gate = <T extends object>(methods: T, ...telling: readonly (keyof T & string)[]): T => {
    const names: readonly string[] = telling;
    const gated = Object.entries(methods as Record<string, Method>).map(([name, method]) => {
      const through: Method = (...given) => pass(() => method(...given), names.includes(name));
      return [name, through] as const;
    });
    // Each method of T with the same arguments and the same answer: the compiler cannot see that through a mapping.
    return Object.fromEntries(gated) as T;
  };
  return Object.assign(gate, {
    isClosing: () => closing,
    close: async () => {
      closing = true;
      await Promise.allSettled(underWay);
    },
  });
}
