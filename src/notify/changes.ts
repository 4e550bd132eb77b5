import type { Events } from '../observe/events.ts';
import type { AccountId, Change, OnChange } from '../store/contract.ts';

/** The bus between the store, which says what became visible, and the sessions that wait for it. */
export interface Changes {
  /** Hand this to the store. Listeners run before it returns: an IDLE session writes EXISTS in the same tick. */
  readonly publish: OnChange;
  /**
   * Calls `listener` with every later change of `account` until the returned function is called; twice is harmless.
   * Throws TooManyListeners past `MAX_LISTENERS_PER_ACCOUNT`.
   */
  subscribe(account: AccountId, listener: (change: Change) => void): () => void;
  /** Calls `listener` whenever a push job came to be; otherwise as `subscribe`. */
  onPush(listener: () => void): () => void;
  /** Calls `listener` whenever a row came into the queue; otherwise as `subscribe`. */
  readonly onQueue: (listener: () => void) => () => void;
}

/**
 * Sessions of one account: a user has a handful of devices with a connection or two each, and dead connections stay
 * for half an hour. More is a client gone wild, and every delivery would pay for each.
 */
export const MAX_LISTENERS_PER_ACCOUNT = 100;

/** The account has as many waiting sessions as we allow; end the session that asked. */
export class TooManyListeners extends Error {
  override name = 'TooManyListeners';
}

/** `events.fault` hears of a listener that throws; the others hear the change all the same. */
export function createChanges({ events }: { readonly events: Pick<Events, 'fault'> }): Changes {
  const accounts = new Map<AccountId, Set<Listener>>();
  const push = new Set<Listener>();
  const queue = new Set<Listener>();

  /** A copy is walked: who subscribes meanwhile sees the change in the store anyway, who left is not called. */
  const tell = (listeners: ReadonlySet<Listener> | undefined, change: Change) => {
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      if (!listeners.has(listener)) continue;
      try {
        listener.hear(change);
      } catch (error) {
        events.fault('change listener', error);
      }
    }
  };

  const listenersOf = (change: Change) => {
    if (change.kind === 'push') return push;
    return change.kind === 'queue' ? queue : accounts.get(change.account);
  };
  const join = (listeners: Set<Listener>, hear: () => void) => {
    const listener = { hear: () => hear() };
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };

  return {
    publish: (change) => tell(listenersOf(change), change),

    subscribe(account, hear) {
      const listeners = accounts.get(account) ?? new Set();
      if (listeners.size >= MAX_LISTENERS_PER_ACCOUNT) {
        throw new TooManyListeners(`an account has ${MAX_LISTENERS_PER_ACCOUNT} sessions`);
      }
      const listener = { hear };
      listeners.add(listener);
      accounts.set(account, listeners);
      return () => {
        listeners.delete(listener);
        // An emptied set may have been replaced by a later subscriber's: only our own is removed.
        if (listeners.size === 0 && accounts.get(account) === listeners) accounts.delete(account);
      };
    },

    onPush: (hear) => join(push, hear),
    onQueue: (hear) => join(queue, hear),
  };
}

/** Wrapped, so that one function may listen twice and each unsubscribing takes away its own. */
interface Listener {
  readonly hear: (change: Change) => void;
}
