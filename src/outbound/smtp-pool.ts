import { minute } from '../clock.ts';
import type { Clock, Timer } from '../clock.ts';
import type { SmtpClient } from './smtp-client.ts';

/** How long a connection waits for more: servers hang up after minutes (upstream keeps them for 100 s). */
export const IDLE_TIME = minute;
/** Connections that wait, of one host and in all. */
export const MAX_IDLE_PER_HOST = 4;
export const MAX_IDLE = 200;
/** Messages on one connection; some servers count. */
export const MAX_TRANSACTIONS = 100;

/** Connections that wait for the next message to the same host. */
export interface SmtpPool extends Disposable {
  /** Takes one that waits under this key, if there is one. */
  take(key: string): Pooled | undefined;
  /** Gives it back after a transaction, or ends it. */
  give(key: string, pooled: Pooled): void;
}

export interface Pooled {
  readonly client: SmtpClient;
  readonly transactions: number;
}

export function createSmtpPool(clock: Clock): SmtpPool {
  const idle = new Map<string, { pooled: Pooled; timer: Timer }[]>();
  let count = 0;
  let ended = false;
  const drop = (key: string, pooled: Pooled) => {
    const list = idle.get(key) ?? [];
    const place = list.findIndex((one) => one.pooled === pooled);
    if (place < 0) return false;
    list[place]?.timer[Symbol.dispose]();
    list.splice(place, 1);
    if (list.length === 0) idle.delete(key);
    count -= 1;
    return true;
  };
  return {
    take(key) {
      for (;;) {
        const last = idle.get(key)?.at(-1);
        if (!last) return undefined;
        drop(key, last.pooled);
        if (last.pooled.client.usable) return last.pooled;
        last.pooled.client[Symbol.dispose]();
      }
    },
    give(key, { client, transactions }) {
      const list = idle.get(key) ?? [];
      const used = transactions + 1;
      const full = list.length >= MAX_IDLE_PER_HOST || count >= MAX_IDLE || used >= MAX_TRANSACTIONS;
      if (ended || full || !client.usable) return client[Symbol.dispose]();
      const pooled = { client, transactions: used };
      const timer = clock.after(IDLE_TIME, () => {
        if (drop(key, pooled)) client[Symbol.dispose]();
      });
      list.push({ pooled, timer });
      idle.set(key, list);
      count += 1;
    },
    [Symbol.dispose]: () => {
      ended = true;
      for (const list of idle.values())
        for (const { pooled, timer } of list) {
          timer[Symbol.dispose]();
          pooled.client[Symbol.dispose]();
        }
      idle.clear();
      count = 0;
    },
  };
}
