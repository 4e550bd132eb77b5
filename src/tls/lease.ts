import type { Clock, Random } from '../clock.ts';

/** Of the store's values, what is needed to share work between processes (store/contract.ts has the promises). */
export interface SharedValues {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  setOnce(key: string, value: string): Promise<string>;
  setIf(key: string, was: string | undefined, value: string): Promise<boolean>;
}

/** Work that one process at a time may do. */
export interface Lease {
  /**
   * Takes it for `ms`; undefined where another has it. The returned function gives it back early, and does nothing
   * once it is over. Nobody else has it before that, as far as the clocks of the processes agree: work under a lease
   * ends well before it, and must do no more harm than waste when two do it after all.
   */
  take(ms: number): Promise<(() => Promise<void>) | undefined>;
}

/** A lease kept in one value: `<until> <holder>`. */
export function createLease(values: SharedValues, key: string, clock: Clock, random: Random): Lease {
  return {
    async take(ms) {
      const there = await values.get(key);
      if (there !== undefined && Number.parseInt(there, 10) > clock.now()) return undefined;
      // Never the same text twice, or setIf could not tell us from another.
      const holder = random(12).toString('hex');
      const mine = `${clock.now() + ms} ${holder}`;
      if (!(await values.setIf(key, there, mine))) return undefined;
      return async () => void (await values.setIf(key, mine, `0 ${holder}`));
    },
  };
}
