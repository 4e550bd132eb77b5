import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { MailboxId, Store } from '../../src/store/contract.ts';

/** What the child has said, kept outside the store: see store-child.ts. */
type Line =
  | { kind: 'open' }
  | {
      kind: 'accepted';
      sha256: string;
      size: number;
      at: { inbox: MailboxId; uid: number }[];
      /** Elsewhere; an address ends the number of it and of all: `…/0/3@d1.example`. */
      recipients: string[];
    }
  /** The other side has it, whatever becomes of the row. */
  | { kind: 'sent'; recipients: string[]; sha256: string }
  /** Must be gone from the queue from now on, and is never sent again. */
  | { kind: 'settled'; recipients: string[] }
  | { kind: 'flagged'; inbox: MailboxId; uid: number; flag: string }
  /** May be gone from now on. */
  | { kind: 'doomed'; inbox: MailboxId; uid: number }
  /** Must be gone from now on. */
  | { kind: 'expunged'; inbox: MailboxId; uid: number };

interface Promised {
  readonly sha256: string;
  readonly flags: Set<string>;
  readonly round: number;
  fate: 'kept' | 'doomed' | 'expunged';
}

/** One recipient elsewhere. */
interface Queued {
  sha256: string | undefined;
  /** Acknowledged: one that was not may be in the queue all the same. */
  accepted: boolean;
  /** The rounds. */
  sentIn: number[];
  settled: boolean;
}

/** Bodies that are in memory together. */
const READ_AT_ONCE = 16;

export function createLedger() {
  const mailboxes = new Map<MailboxId, Map<number, Promised>>();
  /** Said to be accepted, with no word of the UID. */
  const early: { inbox: MailboxId; sha256: string }[] = [];
  /** By recipient. */
  const queued = new Map<string, Queued>();
  const queuedAs = (recipient: string) => {
    const known = queued.get(recipient) ?? { sha256: undefined, accepted: false, sentIn: [], settled: false };
    queued.set(recipient, known);
    return known;
  };
  const lines = { accepted: 0, flagged: 0, doomed: 0, expunged: 0, open: 0, sent: 0, settled: 0 };
  const of = (inbox: MailboxId) => {
    const known = mailboxes.get(inbox) ?? new Map<number, Promised>();
    mailboxes.set(inbox, known);
    return known;
  };
  return {
    mailboxes,
    queued,
    early,
    lines,
    add: (line: Line, round: number) => {
      lines[line.kind] += 1;
      if (line.kind === 'accepted') {
        for (const recipient of line.recipients) {
          const known = queuedAs(recipient);
          if (known.sha256) assert.equal(known.sha256, line.sha256, 'what was sent is what was accepted');
          known.accepted = true;
          known.sha256 = line.sha256;
        }
        for (const { inbox, uid } of line.at) {
          if (uid === 0) early.push({ inbox, sha256: line.sha256 });
          else {
            assert.ok(!of(inbox).has(uid), `UID ${uid} was given twice`);
            of(inbox).set(uid, { sha256: line.sha256, flags: new Set(), round, fate: 'kept' });
          }
        }
      } else if (line.kind === 'sent') {
        for (const recipient of line.recipients) {
          const known = queuedAs(recipient);
          assert.ok(!known.settled, `${recipient} was settled, and is sent again`);
          assert.equal(line.sha256, known.sha256 ?? line.sha256, 'what is sent is what was accepted');
          known.sha256 = line.sha256;
          assert.ok(!known.sentIn.includes(round), `${recipient} is sent twice with no crash between`);
          known.sentIn.push(round);
        }
      } else if (line.kind === 'settled') {
        for (const recipient of line.recipients) queuedAs(recipient).settled = true;
      } else if (line.kind === 'flagged') of(line.inbox).get(line.uid)?.flags.add(line.flag);
      else if (line.kind !== 'open') {
        const message = of(line.inbox).get(line.uid);
        if (message) message.fate = line.kind;
        // One that was committed in an earlier round, its answer lost with the kill.
        else of(line.inbox).set(line.uid, { sha256: '', flags: new Set(), round, fate: line.kind });
      }
    },
  };
}

export type Ledger = ReturnType<typeof createLedger>;

/** Runs the child (store-child.ts) on the store in `place` until it is killed, `wait` ms after it has said `open` (or after its start), and adds its lines. */
export async function runAndKill(
  place: string,
  round: number,
  ledger: Ledger,
  kill: { after: 'open' | 'start'; wait: number },
  ...mode: string[]
): Promise<void> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'store-child.ts'), place, String(round), ...mode],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const end = () => setTimeout(() => child.kill('SIGKILL'), kill.wait);
  if (kill.after === 'start') end();
  let rest = '';
  for await (const chunk of child.stdout) {
    const lines = (rest + String(chunk)).split('\n');
    // What is after the last line end is a line that the kill cut off: nobody was told that.
    rest = lines.pop() ?? '';
    for (const text of lines) {
      const line = JSON.parse(text) as Line;
      if (line.kind === 'open' && kill.after === 'open') end();
      ledger.add(line, round);
    }
  }
  assert.equal(child.signalCode ?? 'SIGKILL', 'SIGKILL', 'the child did not end by itself');
}

/** Holds the store to the ledger; `all`: every body, not only those of this round. */
export async function verify(store: Store, ledger: Ledger, round: number, all: boolean): Promise<void> {
  for (const [inbox, promised] of ledger.mailboxes) {
    const snapshot = await store.messages.snapshot(inbox);
    assert.ok(snapshot, 'the mailbox is there');
    const there = new Set(snapshot.uids);
    const read: { uid: number; sha256: string }[] = [];
    assert.equal(there.size, snapshot.uids.length, 'UIDs are unique');
    for (let uid = 1; uid < snapshot.uidNext; uid += 1)
      assert.ok(there.has(uid) || promised.get(uid)?.fate !== undefined, `UIDs are dense: ${uid} is missing`);
    for (const [uid, { sha256, flags, fate, round: accepted }] of promised) {
      assert.ok(uid < snapshot.uidNext, `UID ${uid} was acknowledged, and is to be given again`);
      if (fate === 'kept') assert.ok(there.has(uid), `UID ${uid} was acknowledged, and is gone`);
      if (fate === 'expunged') assert.ok(!there.has(uid), `UID ${uid} was expunged, and is back`);
      if (!there.has(uid) || sha256 === '') continue;
      if (all || accepted === round) read.push({ uid, sha256 });
      if (flags.size > 0) {
        const [message] = await store.messages.get(inbox, [uid]);
        for (const flag of flags) assert.ok(message?.flags.includes(flag), `UID ${uid} has lost ${flag}`);
      }
    }
    const hashes = await sha256OfMany(
      store,
      inbox,
      read.map(({ uid }) => uid),
    );
    for (const [index, { uid, sha256 }] of read.entries())
      assert.equal(hashes[index], sha256, `UID ${uid} is not what was accepted`);
  }
  const found = new Map<MailboxId, Set<string>>();
  for (const { inbox, sha256 } of ledger.early) {
    if (!found.has(inbox)) {
      const uids = (await store.messages.snapshot(inbox))?.uids ?? [];
      found.set(inbox, new Set(await sha256OfMany(store, inbox, uids)));
    }
    assert.ok(found.get(inbox)?.has(sha256), 'a message was acknowledged, and is nowhere');
  }
}

/**
 * Holds the queue to the ledger: of what was accepted every recipient waits or has it, what was settled does not wait,
 * and a plan is there with all its rows or with none.
 */
export async function verifyQueue(store: Store, ledger: Ledger): Promise<void> {
  const waiting = new Set<string>();
  const plans = new Map<string, { found: number; count: number }>();
  for (const { destination, rows } of await store.queue.destinations(1000)) {
    const listed = await store.queue.rows(destination, rows + 1);
    assert.equal(listed.length, rows);
    for (const { recipient } of listed) waiting.add(recipient);
  }
  for (const [recipient, { accepted, sentIn, settled }] of ledger.queued) {
    if (accepted)
      assert.ok(sentIn.length > 0 || waiting.has(recipient), `${recipient} was accepted, and is lost`);
    if (settled) assert.ok(!waiting.has(recipient), `${recipient} was settled, and waits again`);
  }
  for (const recipient of new Set([...waiting, ...ledger.queued.keys()])) {
    const [, plan = '', count = 0] = /^(.*)\/\d+\/(\d+)@/.exec(recipient) ?? [];
    plans.set(plan, { found: (plans.get(plan)?.found ?? 0) + 1, count: Number(count) });
  }
  for (const [plan, { found, count }] of plans) assert.equal(found, count, `${plan} has not all of its rows`);
}

/** In the order of the UIDs; some at a time. */
export async function sha256OfMany(
  store: Store,
  inbox: MailboxId,
  uids: readonly number[],
): Promise<readonly string[]> {
  const hashes: string[] = [];
  for (let from = 0; from < uids.length; from += READ_AT_ONCE)
    hashes.push(
      ...(await Promise.all(uids.slice(from, from + READ_AT_ONCE).map((uid) => sha256Of(store, inbox, uid)))),
    );
  return hashes;
}

async function sha256Of(store: Store, inbox: MailboxId, uid: number): Promise<string> {
  await using body = await store.messages.body(inbox, uid);
  assert.ok(body, `UID ${uid} has no body`);
  return createHash('sha256')
    .update(await body.read(0, body.size))
    .digest('hex');
}
