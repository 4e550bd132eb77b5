import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import { day } from '../../src/clock.ts';
import type { Undelivered } from '../../src/message/dsn.ts';
import { createChanges } from '../../src/notify/changes.ts';
import type { Consignment, RecipientOutcome } from '../../src/outbound/consignment.ts';
import { createQueue } from '../../src/queue/worker.ts';
import type { QueueParts } from '../../src/queue/worker.ts';
import { StoreUnavailable } from '../../src/store/contract.ts';
import type { Queue, Store } from '../../src/store/contract.ts';
import { createTestClock } from '../harness/clock.ts';
import type { TestClock } from '../harness/clock.ts';
import { openTestStore } from '../harness/store.ts';
import type { TestStore } from '../harness/store.ts';

export const HEADER = 'From: <alice@chat.test>\r\nMessage-ID: <one@localhost>\r\n\r\n';
export const SIGNATURE = 'DKIM-Signature: v=1; by a test\r\n';
export const delivered: RecipientOutcome = { kind: 'delivered', via: 'smtp', host: 'mx.test' };
const problem = { status: '4.4.1', host: undefined, reply: undefined, text: 'no host answers' };
export const deferred: RecipientOutcome = { kind: 'deferred', problem };
export const refused: Extract<RecipientOutcome, { kind: 'deferred' | 'failed' }> = {
  kind: 'failed',
  problem: { status: '5.1.1', host: 'mx.test', reply: '550 no such user', text: 'there is no such address' },
};

/** Resolves when `condition` holds; looks after every turn of the loop, and gives up after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > end) assert.fail(`waited in vain until ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface Sending {
  readonly consignment: Consignment;
  readonly signal: AbortSignal;
  answer(outcome?: RecipientOutcome): void;
}

/** For one `describe`: a store that its tests share, emptied and with another clock before each, and workers on it. */
export function useWorker() {
  let clock: TestClock;
  let opened: TestStore;

  before(async () => {
    opened = await openTestStore();
  });
  after(() => opened[Symbol.asyncDispose]());
  let days = 0;
  beforeEach(async () => {
    // Later than all that earlier tests left behind is leased to.
    clock = createTestClock(Date.UTC(2026, 0, 2, 12) + 100 * day * days++);
    for (const { destination } of await opened.store.queue.destinations(1000)) {
      for (;;) {
        const wish = { limit: 100, perDestination: 100, rowsPerBatch: 100, leaseMs: 1, except: [] };
        const batches = await opened.store.queue.claim(clock.now(), wish);
        if (batches.length === 0) break;
        for (const batch of batches) {
          await opened.store.queue.settle(
            batch,
            batch.rows.map(() => ({ kind: 'done' as const })),
          );
        }
      }
      assert.deepEqual(await opened.store.queue.rows(destination, 1), []);
    }
  });

  return {
    /** The one of the test that runs. */
    get clock() {
      return clock;
    },
    get store() {
      return opened.store;
    },
    accept: (recipients: readonly string[], more?: NewMail) =>
      acceptMail(opened.store, clock.now(), recipients, more),
    start: (options?: Partial<QueueParts>) => startWorker(opened.store, clock, options),
    rows: (destination: string) => opened.store.queue.rows(destination, 100),
  };
}

interface NewMail {
  readonly sender?: string;
  readonly body?: string;
}

/** Puts a message into the queue, as submission does. */
export async function acceptMail(
  store: Store,
  now: number,
  recipients: readonly string[],
  more: NewMail = {},
): Promise<void> {
  const message = Buffer.from(`${HEADER}${more.body ?? 'hello\r\n'}`);
  await store.accept({
    now,
    message,
    headerSize: HEADER.length,
    deliveries: [],
    outgoing: {
      sender: more.sender ?? 'alice@chat.test',
      recipients: recipients.map((address) => ({
        address,
        destination: address.slice(address.indexOf('@') + 1),
      })),
    },
  });
}

/** A worker whose sending a test answers by hand, over a real store, which fails for it while `down`. */
export function startWorker(
  { queue }: Pick<Store, 'queue'>,
  clock: TestClock,
  options: Partial<QueueParts> = {},
) {
  const log: string[] = [];
  const sendings: Sending[] = [];
  const bounces: Undelivered[] = [];
  const watch = {
    down: false,
    failBounce: false,
    asked: 0,
    /** Questions to the store that have no answer yet. */
    waiting: 0,
    renewed: [] as number[],
    settled: 0,
    signed: 0,
    keys: 'k1',
  };
  const guard = async <Result>(call: () => Promise<Result>): Promise<Result> => {
    watch.asked++;
    if (watch.down) throw new StoreUnavailable('down');
    watch.waiting++;
    return call().finally(() => watch.waiting--);
  };
  const watched: Queue = {
    claim: (...given) => guard(() => queue.claim(...given)),
    renew: (...given) => {
      watch.renewed.push(given[1].length);
      return guard(() => queue.renew(...given));
    },
    body: (...given) => guard(() => queue.body(...given)),
    keepSignature: (...given) => guard(() => queue.keepSignature(...given)),
    nextDue: (...given) => guard(() => queue.nextDue(...given)),
    destinations: (...given) => queue.destinations(...given),
    rows: (...given) => queue.rows(...given),
    settle: async (...given) => {
      await guard(() => queue.settle(...given));
      watch.settled++;
    },
  };
  const events = {
    mailDelivered: (count: number, via: string, ms: number) =>
      void log.push(`delivered ${count} ${via} ${ms}`),
    mailDeferred: (destination: string, count: number, _status: string, reason: string) =>
      void log.push(`deferred ${destination} ${count} ${reason}`),
    mailFailed: (destination: string, count: number, status: string) =>
      void log.push(`failed ${destination} ${count} ${status}`),
    mailClaimLost: (destination: string, count: number) => void log.push(`lost ${destination} ${count}`),
    storeUnavailable: () => void log.push('store unavailable'),
    fault: (where: string, error: unknown) => void log.push(`fault ${where} ${String(error)}`),
  };
  const changes = createChanges({ events });
  const worker = createQueue({
    store: { queue: watched },
    clock,
    random: (bytes) => Buffer.alloc(bytes, 0x80),
    onQueue: changes.onQueue,
    signer: {
      keys: async () => watch.keys,
      sign: async () => {
        watch.signed++;
        return SIGNATURE;
      },
    },
    send: (consignment, signal) =>
      new Promise((resolve) => {
        const answer = (outcome: RecipientOutcome = delivered) =>
          resolve(consignment.recipients.map(() => outcome));
        sendings.push({ consignment, signal, answer });
        signal.addEventListener('abort', () => answer(deferred));
        if (signal.aborted) answer(deferred);
      }),
    bounce: async (undelivered) => {
      if (watch.failBounce) throw new StoreUnavailable('down');
      bounces.push(undelivered);
    },
    lifetime: 2 * day,
    memory: 1024 * 1024,
    events,
    ...options,
  });
  const wake = () => changes.publish({ kind: 'queue' });
  return { worker, sendings, bounces, log, watch, wake };
}
