/**
 * `node test/bench/store.ts [seconds]`: durable deliveries per second through the SQLite store for some numbers of
 * clients that each wait for their answer, how long an answer takes, and how late the main loop runs meanwhile.
 * Not part of `npm test`: read ratios, machines differ.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { AccountId, MailboxId, Store } from '../../src/store/contract.ts';
import { openTestStore } from '../harness/store.ts';

const seconds = Number(process.argv[2] ?? 2);
const QUOTA = 1024 ** 4;

type Row = Record<string, string | number>;

/** Runs `work` in `clients` loops for the given time. */
async function measure(clients: number, work: (count: number) => Promise<unknown>): Promise<Row> {
  const times: number[] = [];
  const loop = monitorEventLoopDelay({ resolution: 1 });
  const start = performance.now();
  const end = start + seconds * 1000;
  let count = 0;
  loop.enable();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) {
        const begun = performance.now();
        await work(count++);
        times.push(performance.now() - begun);
      }
    }),
  );
  loop.disable();
  times.sort((one, other) => one - other);
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? 0).toFixed(2);
  return {
    clients,
    'per second': Math.round((times.length * 1000) / (performance.now() - start)),
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
    'main loop p99 ms': (loop.percentile(99) / 1e6).toFixed(1),
  };
}

async function inboxes(store: Store, count: number): Promise<{ account: AccountId; inbox: MailboxId }[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const { account } = await store.accounts.create(`user${n}@example.org`, 'hash', 0);
      return { account: account.id, inbox: (await store.mailboxes.find(account.id, 'INBOX'))!.id };
    }),
  );
}

const rows: Row[] = [];
for (const [size, clients] of [
  [10_000, 1],
  [10_000, 16],
  [10_000, 128],
  [64_000, 16],
  [1_000_000, 8],
] as const) {
  await using opened = await openTestStore({ quota: QUOTA });
  const { store } = opened;
  const everyone = await inboxes(store, 100);
  const message = Buffer.alloc(size, 'x');
  const deliver = (count: number) =>
    store.accept({
      now: 0,
      message,
      headerSize: 500,
      deliveries: [{ account: everyone[count % 100]!.account, push: true }],
    });
  rows.push({ what: `deliver ${size / 1000} KB`, ...(await measure(clients, deliver)) });
  if (size !== 10_000 || clients !== 128) continue;

  const fetch = async (count: number) => {
    const { inbox } = everyone[count % 100]!;
    const snapshot = await store.messages.snapshot(inbox);
    await using body = await store.messages.body(inbox, snapshot?.uids.at(-1) ?? 1);
    await body?.read(0, body.size);
  };
  rows.push({ what: 'snapshot and body', ...(await measure(16, fetch)) });
  const storeFlag = (count: number) =>
    store.messages.storeFlags(everyone[count % 100]!.inbox, [1], {
      action: 'add',
      flags: [`k${count % 50}`],
    });
  rows.push({ what: 'store a flag', ...(await measure(16, storeFlag)) });
}
console.table(rows);
