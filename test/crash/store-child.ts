/**
 * The process that is killed: a store under load. It says on stdout what it has been promised, a line of JSON each, as
 * soon as the promise resolves; the parent's ledger of these lines is what must be found afterwards.
 *
 * With `early` as the last argument it lies: it says `accepted` (with UID 0) before the store has answered, to show that
 * the test can fail.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { systemClock, systemRandom } from '../../src/machine.ts';
import type { AccountId, MailboxId, QueuedId, Store } from '../../src/store/contract.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';

const [place = '', seed = '0', mode = ''] = process.argv.slice(2);
const ACCOUNTS = 4;
/** Loops that each have one request under way. */
const LOOPS = 12;

/** Loops that each send what they have claimed. */
const SENDERS = 3;
const DESTINATIONS = 5;
/** Each round is later than all the leases of the ones before it. */
const now = Number(seed) * 1_000_000;

/** Written at once, so that nothing of it is lost in a buffer when the process is killed. */
const say = (line: unknown) => writeSync(1, `${JSON.stringify(line)}\n`);
const random = createRandom(Number(seed));

const store = await openStore();
const boxes: { account: AccountId; inbox: MailboxId; uids: number[] }[] = [];
for (let n = 0; n < ACCOUNTS; n += 1) {
  const { account } = await store.accounts.create(`user${n}@example.org`, 'hash', 0);
  const inbox = (await store.mailboxes.find(account.id, 'INBOX'))!.id;
  const snapshot = await store.messages.snapshot(inbox);
  boxes.push({ account: account.id, inbox, uids: [...(snapshot?.uids ?? [])] });
}
say({ kind: 'open' });
await Promise.all([
  ...Array.from({ length: LOOPS }, (_, n) => loop(n)),
  ...Array.from({ length: SENDERS }, send),
]);

/** The place is a directory for SQLite, or the name of a database on the servers that the environment names. */
async function openStore(): Promise<Store> {
  const common = { quota: 1024 ** 4, onChange: () => {} };
  if (!place.startsWith('mongodb:')) return openSqliteStore({ dataDir: place, ...common });
  const { openWildduckStore } = await import('../../src/store/wildduck/open.ts');
  return openWildduckStore({
    ...common,
    mongodbUrl: process.env['MONGODB_URL'] ?? '',
    redisUrl: process.env['REDIS_URL'] ?? '',
    database: place.slice('mongodb:'.length),
    clock: systemClock,
    random: systemRandom,
    // Whoever comes next waits for what the killed one held.
    leaseMs: 300,
  });
}

async function loop(number: number): Promise<never> {
  for (let count = 0; ; count += 1) {
    const kind = random();
    const box = boxes[Math.floor(random() * ACCOUNTS)]!;
    if (kind < 0.6) await accept(`${seed} ${number} ${count}`);
    else if (kind < 0.8) await storeFlag(box);
    else await expunge(box);
  }
}

/** To one or several accounts; one in eight is big enough for a file. */
async function accept(title: string): Promise<void> {
  const size = random() < 0.125 ? 260_000 + Math.floor(random() * 400_000) : Math.floor(random() * 20_000);
  const header = `Subject: ${title}\r\n\r\n`;
  const message = Buffer.from(header + title.repeat(Math.ceil(size / title.length)));
  const to = boxes.filter(() => random() < 0.4);
  const recipients = outgoing(title);
  const line = (uids: readonly number[]) => ({
    kind: 'accepted',
    sha256: createHash('sha256').update(message).digest('hex'),
    size: message.length,
    recipients: recipients.map(({ address }) => address),
    at: to.map(({ inbox }, index) => ({ inbox, uid: uids[index] ?? 0 })),
  });
  if (mode === 'early') say(line([]));
  const { deliveries } = await store.accept({
    now,
    message,
    headerSize: header.length,
    deliveries: to.map(({ account }) => ({ account, push: false })),
    ...(recipients.length > 0 ? { outgoing: { sender: 's@example.org', recipients } } : {}),
  });
  const uids = deliveries.map((outcome) => (outcome.kind === 'delivered' ? outcome.uid : 0));
  if (mode !== 'early') say(line(uids));
  for (const [index, { uids: known }] of to.entries()) known.push(uids[index] ?? 0);
}

/** Of two in three messages some go elsewhere. An address says of which message it is, and how many that has. */
function outgoing(title: string): { address: string; destination: string }[] {
  const count = Math.max(Math.floor(random() * 9) - 2, 0);
  return Array.from({ length: count }, (_, n) => {
    const destination = `d${Math.floor(random() * DESTINATIONS)}.example`;
    return { address: `${title.replaceAll(' ', '.')}/${n}/${count}@${destination}`, destination };
  });
}

/** Sends what waits, so to speak: that the line is there means that the other side has it. One in eight fails. */
async function send(): Promise<never> {
  for (;;) {
    const wish = { limit: 3, perDestination: 2, rowsPerBatch: 4, leaseMs: 500_000, except: [] };
    const batches = await store.queue.claim(now, wish);
    for (const batch of batches) {
      const outcomes = batch.rows.map(() =>
        random() < 0.125 ? { kind: 'retry' as const, at: now + 1, reason: 'x' } : { kind: 'done' as const },
      );
      const recipients = batch.rows
        .filter((_, n) => outcomes[n]?.kind === 'done')
        .map(({ recipient }) => recipient);
      if (recipients.length > 0)
        say({ kind: 'sent', recipients, sha256: await sha256OfQueued(batch.message) });
      await store.queue.settle(batch, outcomes);
      if (recipients.length > 0) say({ kind: 'settled', recipients });
    }
    if (batches.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function sha256OfQueued(message: QueuedId): Promise<string> {
  await using body = await store.queue.body(message);
  return body
    ? createHash('sha256')
        .update(await body.read(0, body.size))
        .digest('hex')
    : 'missing';
}

async function storeFlag({ inbox, uids }: (typeof boxes)[number]): Promise<void> {
  const uid = uids[Math.floor(random() * uids.length)];
  if (uid === undefined) return;
  const flag = `k${Math.floor(random() * 30)}`;
  const { changed } = await store.messages.storeFlags(inbox, [uid], { action: 'add', flags: [flag] });
  if (changed.length > 0) say({ kind: 'flagged', inbox, uid, flag });
}

async function expunge({ inbox, uids }: (typeof boxes)[number]): Promise<void> {
  // Leaves most: there must be something to find.
  if (uids.length < 20) return;
  const [uid] = uids.splice(Math.floor(random() * uids.length), 1);
  if (uid === undefined) return;
  say({ kind: 'doomed', inbox, uid });
  await store.messages.storeFlags(inbox, [uid], { action: 'add', flags: ['\\Deleted'] });
  for (const gone of await store.messages.expunge(inbox, [uid])) say({ kind: 'expunged', inbox, uid: gone });
}

/** The same numbers for the same seed (a linear congruential generator is enough to draw work). */
function createRandom(start: number): () => number {
  let state = (start * 2654435761 + 12345) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
