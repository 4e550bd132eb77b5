import type { Collections } from './connect.ts';
import { isDuplicate } from './duplicate-key.ts';

/** Answers with a number above every one before it, whichever process got that. Never 0: that is nobody's claim. */
export type NextFence = () => Promise<number>;

/**
 * The fencing counter of claims (push jobs, queue rows): one for all, so that also what is removed and made anew never
 * meets a number twice. Durable, as every write: it does not go back in an election.
 */
export function createNextFence({ counters }: Pick<Collections, 'counters'>): NextFence {
  const next: NextFence = async () => {
    try {
      const { value } = await counters.findOneAndUpdate(
        { _id: 'fence' },
        { $inc: { value: 1 } },
        { upsert: true, returnDocument: 'after' },
      );
      if (value) return Number(value.value);
    } catch (error) {
      // Two made the first one.
      if (!isDuplicate(error)) throw error;
    }
    return next();
  };
  return next;
}
