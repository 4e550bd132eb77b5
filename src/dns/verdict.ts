import type { Grade } from './zone.ts';

/** Whether what DNS has does what the wanted record is for. */
export interface Verdict {
  /** `differs`: there is something, and it does not do. */
  readonly state: 'ok' | 'missing' | 'differs';
  /** Where the harm is greater than that of a missing record: CAA that forbids our authority. */
  readonly grade?: Grade;
  /** What a person may want to know: what is wrong, or what is other than expected and right all the same. */
  readonly notes: readonly string[];
}

export const ok = (...notes: readonly string[]): Verdict => ({ state: 'ok', notes });
export const missing = (...notes: readonly string[]): Verdict => ({ state: 'missing', notes });
export const differs = (...notes: readonly string[]): Verdict => ({ state: 'differs', notes });

const order = { ok: 0, differs: 1, missing: 2 } as const;

/** Of what several name servers have, the worst: some senders ask the one that has it. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce((a, b) => (order[b.state] > order[a.state] ? b : a), verdicts[0] ?? missing());
}
