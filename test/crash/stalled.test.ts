import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import type { AccountId, Change, MailboxId, Store } from '../../src/store/contract.ts';
import type { MailboxDocument, MessageDocument } from '../../src/store/wildduck/documents.ts';
import { objectId } from '../../src/store/wildduck/ids.ts';
import { headerSize, mailbox, minute, start, text } from '../contract/fixture.ts';
import { without } from '../harness/peers.ts';
import { openTestDatabase } from '../harness/test-database.ts';
import type { TestDatabase } from '../harness/test-database.ts';
import { until } from '../harness/until.ts';
import { openTestWildduck } from '../harness/wildduck-store.ts';
import type { TestWildduck } from '../harness/wildduck-store.ts';
import { kindsOfWork } from './stalled-work.ts';
import type { Work } from './stalled-work.ts';

/** A lease that is over at once for the others: they take over whatever is held, as if the stall had lasted. */
const EXPIRED = -1000;

type Line =
  | { readonly kind: 'open' }
  | { readonly kind: 'change'; readonly change: Change }
  | { readonly kind: 'stopping'; readonly at: string }
  | { readonly kind: 'done'; readonly stopped: boolean; readonly uids?: number[]; readonly error?: string };

/** A process that stops itself when it is told to. */
class Stalling {
  readonly changes: Change[] = [];
  readonly #child;
  readonly #lines: AsyncIterator<string>;

  private constructor(database: string) {
    this.#child = spawn(process.execPath, [join(import.meta.dirname, 'stalled-child.ts'), database], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async start(database: string): Promise<Stalling> {
    const stalling = new Stalling(database);
    assert.equal((await stalling.next()).kind, 'open');
    return stalling;
  }

  /** What it says next, but for changes, which are kept. */
  async next(): Promise<Exclude<Line, { readonly kind: 'change' }>> {
    for (;;) {
      const next = await this.#lines.next();
      assert.ok(!next.done, 'the process has ended');
      const line = JSON.parse(next.value) as Line;
      if (line.kind !== 'change') return line;
      this.changes.push(line.change);
    }
  }

  begin(work: Work, stopAt: number): void {
    this.#child.stdin.write(`${JSON.stringify({ work, stopAt })}\n`);
  }

  async standsStill(): Promise<void> {
    const state = async () => /\) (\w)/.exec(await readFile(`/proc/${this.#child.pid}/stat`, 'utf8'))?.[1];
    await until(async () => (await state()) === 'T', 'the process stands still');
  }

  goOn(): void {
    this.#child.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goOn();
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** What somebody knows of a mailbox by what is told: messages with their flags. Asserts the order of what is told. */
function knowledgeOf(changes: readonly Change[], box: MailboxId): Map<number, string> {
  const known = new Map<number, string>();
  let [highestUid, highestModseq] = [0, 0];
  for (const change of changes) {
    if (!('modseq' in change) || change.mailbox !== box) continue;
    assert.ok(change.modseq >= highestModseq, 'told in the order of MODSEQ');
    highestModseq = change.modseq;
    if (change.kind === 'exists') {
      assert.ok(change.uid > highestUid, `UID ${change.uid} is told after ${highestUid}`);
      highestUid = change.uid;
      known.set(change.uid, [...change.flags].sort().join(' '));
    } else if (change.kind === 'expunge') {
      for (const uid of change.uids) known.delete(uid);
    } else {
      for (const { uid, flags } of change.messages)
        if (known.has(uid)) known.set(uid, [...flags].sort().join(' '));
    }
  }
  return known;
}

describe(
  'a process that stands still and comes back',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  () => {
    let database: TestDatabase;
    let quick: TestWildduck;
    let stalling: Stalling;
    let store: Store;
    let accounts = 0;
    before(async () => {
      database = await openTestDatabase();
      quick = await openTestWildduck({ leaseMs: EXPIRED, quota: 1024 ** 3 }, database);
      ({ store } = quick);
      stalling = await Stalling.start(database.name);
    });
    after(async () => {
      await stalling?.[Symbol.asyncDispose]();
      await quick[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    });

    const account = async () => {
      const made = await store.accounts.create(`a${++accounts}@example.org`, 'hash', start);
      return made.account.id;
    };
    const deliver = async (to: AccountId, title: string) => {
      const message = text(title);
      const deliveries = [{ account: to, push: false }];
      await store.accept({ now: start, message, headerSize: headerSize(message), deliveries });
    };
    /** What is there, in the order of UIDs; nothing else is kept, and nobody holds the mailbox. */
    const there = async (box: MailboxId) => {
      const _id = objectId(box)!;
      const found = await database.database.collection('mailboxes').findOne<MailboxDocument>({ _id });
      const messages = await database.database
        .collection('messages')
        .find<MessageDocument>({ mailbox: _id })
        .sort({ uid: 1 })
        .toArray();
      return {
        isFree: found?.teal?.lease === undefined,
        isCounted: messages.every(
          ({ uid, modseq }) => uid < (found?.uidNext ?? 0) && modseq <= (found?.modifyIndex ?? 0),
        ),
        uids: messages.map(({ uid }) => uid),
        flags: messages.map(({ flags }) => [...flags].sort().join(' ')),
        titles: messages.map(({ mimeTree }) => mimeTree.body?.toString().trim() ?? ''),
        bytes: messages.reduce((sum, { size }) => sum + size, 0),
      };
    };

    /** Stalls it at one command of the work, others go on with the mailbox, and it comes back. False: it never stopped. */
    const stall = async (kind: Work['kind'], stopAt: number): Promise<boolean> => {
      const mine = await account();
      const other = kind === 'deliver to two' ? await account() : mine;
      const inbox = (await mailbox(store, mine, 'INBOX')).id;
      const otherBox = (await mailbox(store, other, 'INBOX')).id;
      const isCopy = kind === 'copy' || kind === 'move';
      if (isCopy) await store.mailboxes.create(mine, 'folder', start);
      const folder = isCopy ? (await mailbox(store, mine, 'folder')).id : inbox;
      const boxes = new Set([inbox, folder, otherBox]);
      const [heard, told] = [quick.changes.length, stalling.changes.length];
      for (const box of boxes) await store.messages.snapshot(box);
      await Promise.all(Array.from({ length: 4 }, () => deliver(mine, 'old')));
      await store.messages.storeFlags(inbox, [1, 2, 4], { action: 'add', flags: ['\\Deleted'] });
      const title = `late-${accounts}`;
      stalling.begin({ kind, account: mine, other, inbox, folder, uids: [1, 2], title }, stopAt);
      let line = await stalling.next();
      const at = line.kind === 'stopping' ? line.at : undefined;
      if (line.kind === 'stopping') {
        await stalling.standsStill();
        await deliver(mine, 'meanwhile');
        await store.messages.storeFlags(inbox, [3], { action: 'add', flags: ['Meanwhile'] });
        await store.messages.expunge(inbox, [4]);
        if (other !== mine) await deliver(other, 'meanwhile');
        stalling.goOn();
        line = await stalling.next();
      }
      const what = `${kind}, stopped at its command ${stopAt} (${at}): ${JSON.stringify(line)}`;
      assert.ok(line.kind === 'done' && line.uids, what);

      const brings = /deliver|append/.test(kind);
      const goes = kind === 'expunge' || kind === 'move';
      const old = Array.from({ length: goes ? 1 : 3 }, () => 'old');
      const expected = [...old, at === undefined ? 'old' : 'meanwhile', ...(brings ? [title] : [])].sort();
      const now = await there(inbox);
      assert.deepEqual(now.titles.toSorted(), expected, what);
      assert.equal(now.uids.includes(1), !goes && kind !== 'move within', what);
      assert.equal(line.uids.length, brings && other === mine ? 1 : 2, what);
      if (brings) assert.equal(now.titles[now.uids.indexOf(line.uids[0] ?? 0)], title, what);
      if (kind === 'deliver to two')
        assert.equal((await there(otherBox)).titles.filter((each) => each === title).length, 1, what);
      if (isCopy) assert.deepEqual((await there(folder)).titles, ['old', 'old'], what);
      for (const [index, flags] of now.flags.entries())
        if (kind === 'flags' && (now.uids[index] ?? 0) <= 2) assert.match(flags, /Late/, what);

      let bytes = 0;
      for (const box of boxes) {
        const all = await there(box);
        assert.ok(all.isCounted, `nothing is there that nobody sees: ${what}`);
        assert.ok(all.isFree, `nobody holds it: ${what}`);
        if (box !== otherBox || other === mine) bytes += all.bytes;
        const isTold = () => {
          const known = knowledgeOf(quick.changes.slice(heard), box);
          return (
            all.uids.join() === [...known.keys()].join() && all.flags.join() === [...known.values()].join()
          );
        };
        await until(isTold, `who looks at the mailbox knows what is there: ${what}`);
        knowledgeOf(stalling.changes.slice(told), box);
      }
      const { used } = await store.accounts.quota(mine);
      assert.equal(used, bytes, `the sum is that of its messages: ${what}`);
      if (kind === 'deliver and send') await isSentOnce(what);
      return at !== undefined;
    };

    const isSentOnce = async (what: string) => {
      const undone = { at: { $exists: true } };
      await until(
        async () => (await database.database.collection('teal.plans').countDocuments(undone)) === 0,
        what,
      );
      const wish = { limit: 100, perDestination: 100, rowsPerBatch: 100, leaseMs: minute, except: [] };
      const batches = await store.queue.claim(start, wish);
      assert.equal(batches.flatMap(({ rows }) => rows).length, 2, what);
      for (const batch of batches)
        await store.queue.settle(
          batch,
          batch.rows.map(() => ({ kind: 'done' as const })),
        );
    };

    for (const kind of kindsOfWork)
      test(`in the midst of "${kind}", at each of its commands: nothing is lost, doubled or out of order, and all is told`, async (t) => {
        let stops = 0;
        while (await stall(kind, stops + 1)) stops += 1;
        t.diagnostic(`stopped at ${stops} commands`);
        assert.ok(stops > 3, 'it was stopped');
      });
  },
);
