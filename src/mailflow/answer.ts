import { refuse } from '../errors.ts';
import type { Events } from '../observe/events.ts';
import { OverQuota, StoreUnavailable } from '../store/contract.ts';
import { TaskError } from '../workers/task.ts';
import { refused } from './verdict.ts';
import type { TakeMessage, Verdict } from './verdict.ts';

/**
 * Makes a walk safe to call from a session: it always answers. What stops the walk half way becomes a reply that is
 * true: a store that fails is a 4xx, never a 5xx and never silence (promise 4 of the design).
 */
export function answering(
  direction: 'incoming' | 'outgoing',
  events: Pick<Events, 'messageRefused' | 'storeUnavailable' | 'fault'>,
  walk: TakeMessage,
): TakeMessage {
  return async (envelope, message) => {
    const verdict = await walk(envelope, message).catch((error: unknown) => verdictOf(error, events));
    if (!verdict.accepted) events.messageRefused(direction, envelope.session, verdict.refusal);
    return verdict;
  };
}

function verdictOf(error: unknown, events: Pick<Events, 'storeUnavailable' | 'fault'>): Verdict {
  if (error instanceof OverQuota) return refused(refuse('mailbox_full', 'no recipient has room'));
  if (error instanceof StoreUnavailable) {
    events.storeUnavailable(error);
    return refused(refuse('store_unavailable', error.message));
  }
  // The pool has no room, or its worker died: the same message may well pass a minute later.
  if (error instanceof TaskError && error.reason !== 'failed') return refused(refuse('busy', error.message));
  events.fault('mailflow', error);
  return refused(refuse('internal', error instanceof Error ? error.message : 'not an error'));
}
