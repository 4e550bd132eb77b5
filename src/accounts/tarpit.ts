import { second } from '../clock.ts';
import type { Clock } from '../clock.ts';

/** Upstream's auth_failure_delay (relay.md 2). It slows guessing on one connection down to one try in two seconds. */
export const FAILURE_DELAY = 2 * second;
/** Answers held back at once, under 1 KB each; every one has a connection, of which there are hardly more. */
const MAX_HELD_BACK = 10_000;

/** Resolves after FAILURE_DELAY; at once where too many wait already: memory first, slowness second. */
export function createTarpit(clock: Clock, maxHeldBack = MAX_HELD_BACK): () => Promise<void> {
  let heldBack = 0;
  return async () => {
    if (heldBack >= maxHeldBack) return;
    heldBack++;
    await new Promise<void>((resolve) => clock.after(FAILURE_DELAY, resolve));
    heldBack--;
  };
}
