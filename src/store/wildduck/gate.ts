import { StoreUnavailable } from '../contract.ts';
import { wrap } from './connect.ts';

export interface Gate {
  /** The same methods, let in until it is closed; errors of the database come out as the contract's. */
  <T extends object>(methods: T): T;
  readonly isClosing: () => boolean;
  /** Lets nothing in any more, and waits for what is under way. */
  readonly close: () => Promise<void>;
}

type Method = (...given: unknown[]) => Promise<unknown>;

export function createGate(): Gate {
  const underWay = new Set<Promise<unknown>>();
  let closing = false;
  const pass = async (work: () => Promise<unknown>) => {
    if (closing) throw new StoreUnavailable('the store is closed');
    const promise = wrap(work);
    underWay.add(promise);
    try {
      return await promise;
    } finally {
      underWay.delete(promise);
    }
  };
  const gate = <T extends object>(methods: T): T => {
    const gated = Object.entries(methods as Record<string, Method>).map(([name, method]) => {
      const through: Method = (...given) => pass(() => method(...given));
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
