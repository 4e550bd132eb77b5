import type { ObjectId } from 'mongodb';
import type { Clock } from '../../clock.ts';
import { second } from '../../clock.ts';
import { StoreUnavailable } from '../contract.ts';
import type { Change } from '../contract.ts';
import type { Collections } from './connect.ts';
import type { JournalDocument, MailboxDocument } from './documents.ts';
import { isDuplicate } from './duplicate-key.ts';
import { accountId, mailboxId } from './ids.ts';
import { recount } from './quota.ts';
import type { Repair } from './repair.ts';

/** A mailbox that nobody else changes meanwhile (Teal's processes: WildDuck's own programs know no lock). */
export interface Held {
  /** As it was when it was taken; of one instant. */
  readonly mailbox: MailboxDocument;
  /**
   * An earlier try was broken off: of what it wrote removals and flags are done and told, messages are undone, or may
   * be there after all.
   */
  readonly again: boolean;
  nextUid(): number;
  nextModseq(): number;
  /** What becomes visible with the commit. */
  change(change: Change): void;
  /** For WildDuck's sessions; written by `writeJournal`, which must be before the commit. */
  journal(entry: JournalEntry): void;
  writeJournal(): Promise<void>;
}
export type JournalEntry = Omit<JournalDocument, '_id' | 'created' | 'mailbox' | 'user'>;

export interface Exclusive {
  /**
   * Runs `work` with the mailbox held, one after another, here and in all processes. When it resolves the new counters
   * are written and its changes told. It runs again, with `again`, where that could not be done under the same hold:
   * the lease had run out, or WildDuck counted the mailbox up. Undefined where there is no such mailbox.
   */
  run<T>(mailbox: ObjectId, work: (held: Held) => Promise<T>): Promise<T | undefined>;
  /** Only the order within this process; `hold` then does the rest. */
  queue<T>(mailbox: ObjectId, task: () => Promise<T>): Promise<T>;
  hold<T>(mailbox: ObjectId, work: (held: Held) => Promise<T>, again?: boolean): Promise<T | undefined>;
}

export interface ExclusiveParts {
  readonly collections: Collections;
  readonly clock: Clock;
  /** Names this process in leases: for people who look. */
  readonly name: string;
  readonly repair: Repair;
  readonly tell: (changes: readonly Change[], journal: readonly JournalDocument[]) => Promise<void>;
  /** How long a mailbox is kept from others by a process that has died, in ms. */
  readonly leaseMs?: number;
}

/** Work on one mailbox takes tens of milliseconds; the trim of a full one a second. Too short does no harm but work. */
const LEASE = 5 * second;
/** How long one waits for others: their lease, and those who wait too. */
const PATIENCE = 30 * second;
/** Between two looks at a mailbox that another process has. */
const LOOK_FIRST = 4;
const LOOK_LAST = 25;
const MAX_TRIES = 8;
/** Mailboxes whose last commit had no answer; of more, the others are told at the next look at all (bus.ts). */
const MAX_UNTOLD = 1000;

/** The hold was not ours any more when the work was to be made visible: nothing of it is. */
class Superseded extends Error {
  override name = 'Superseded';
}

export function createExclusive(parts: ExclusiveParts): Exclusive {
  const { collections, clock, name, repair, tell, leaseMs = LEASE } = parts;
  const { mailboxes, messages, journal } = collections;
  const tails = new Map<string, Promise<unknown>>();
  /** Commits whose answer was lost: who takes the mailbox next sees what became of them. One for a mailbox at most. */
  const untold = new Map<
    string,
    { fence: number; modifyIndex: number; changes: readonly Change[]; entries: readonly JournalDocument[] }
  >();

  const queue = <T>(mailbox: ObjectId, task: () => Promise<T>): Promise<T> => {
    const key = mailbox.toHexString();
    const done = (tails.get(key) ?? Promise.resolve()).then(task);
    const tail = done.then(
      () => {},
      () => {},
    );
    tails.set(key, tail);
    void tail.then(() => {
      if (tails.get(key) === tail) tails.delete(key);
    });
    return done;
  };

  const take = async (id: ObjectId) => {
    const age = { $subtract: ['$$NOW', leaseMs] };
    const { value } = await mailboxes.findOneAndUpdate(
      {
        _id: id,
        $or: [
          { 'teal.lease': { $exists: false } },
          // One that broke off here: nobody else of this process is at it, for that is what the queue is for.
          { 'teal.lease.by': name },
          { $expr: { $lt: ['$teal.lease.at', age] } },
        ],
      },
      { $set: { 'teal.lease.by': name }, $currentDate: { 'teal.lease.at': true }, $inc: { 'teal.fence': 1 } },
      { returnDocument: 'before' },
    );
    return value ?? undefined;
  };

  /** Waits until nobody else has it. `found`: its MODSEQ before anything was repaired. */
  const acquire = async (
    id: ObjectId,
  ): Promise<{ mailbox: MailboxDocument; fence: number; found: number } | undefined> => {
    const until = clock.now() + PATIENCE;
    for (let wait = LOOK_FIRST; ; wait = Math.min(2 * wait, LOOK_LAST)) {
      const mailbox = await take(id);
      if (mailbox) {
        const fence = (mailbox.teal?.fence ?? 0) + 1;
        const { modifyIndex: found } = mailbox;
        if (!mailbox.teal?.lease) {
          const late = untold.get(id.toHexString());
          untold.delete(id.toHexString());
          if (late && late.fence === fence - 1 && late.modifyIndex === mailbox.modifyIndex)
            await tell(late.changes, late.entries);
          return { mailbox, fence, found };
        }
        // Its holder died, or is so slow that it will find itself superseded.
        return { mailbox: await repair(mailbox, fence), fence, found };
      }
      if ((await mailboxes.countDocuments({ _id: id }, { limit: 1 })) === 0) return undefined;
      if (clock.now() > until) throw new StoreUnavailable('a mailbox is held by another process');
      await new Promise<void>((resolve) => void clock.after(wait, resolve));
    }
  };

  const tryHold = async <T>(
    id: ObjectId,
    work: (held: Held) => Promise<T>,
    again: boolean,
    removals: JournalDocument[],
  ): Promise<{ result: T; user: ObjectId } | undefined> => {
    const held = await acquire(id);
    if (!held) return undefined;
    const { mailbox, fence, found } = held;
    let { uidNext, modifyIndex } = mailbox;
    const changes: Change[] = [];
    const entries: JournalDocument[] = [];
    let written = 0;
    const mine = { _id: id, 'teal.fence': fence };
    const release = { $unset: { 'teal.lease': true } } as const;
    const writeJournal = async () => {
      const due = entries.slice(written);
      written = entries.length;
      removals.push(...due.filter(({ command }) => command === 'EXPUNGE'));
      if (due.length > 0) await journal.insertMany(due);
    };
    let result: T;
    try {
      const gone = again ? await untoldRemovals(id, removals, found) : [];
      if (gone.length > 0) {
        modifyIndex += 1;
        entries.push(...gone.map(({ _id, ...entry }) => ({ ...entry, modseq: modifyIndex })));
        changes.push(expungeOf(mailbox, modifyIndex, gone));
        await writeJournal();
      }
      result = await work({
        mailbox,
        again,
        nextUid: () => uidNext++,
        nextModseq: () => ++modifyIndex,
        change: (change) => void changes.push(change),
        journal: (entry) =>
          void entries.push({ ...entry, mailbox: id, user: mailbox.user, created: new Date(clock.now()) }),
        writeJournal,
      });
    } catch (error) {
      // If this fails too, the lease runs out. What was begun is undone by whoever comes next: not counted, not visible.
      if (modifyIndex === mailbox.modifyIndex) await mailboxes.updateOne(mine, release).catch(() => {});
      throw error;
    }
    if (modifyIndex === mailbox.modifyIndex) {
      const { matchedCount } = await mailboxes.updateOne(mine, release);
      // Another has counted the account's bytes meanwhile, perhaps between what the work took and what it wrote.
      if (matchedCount === 0) await recount(collections, mailbox.user);
      return { result, user: mailbox.user };
    }
    const unchanged = { uidNext: mailbox.uidNext, modifyIndex: mailbox.modifyIndex };
    const { matchedCount } = await mailboxes
      .updateOne({ ...mine, ...unchanged }, { $set: { uidNext, modifyIndex }, ...release })
      .catch((error: unknown) => {
        if (untold.size < MAX_UNTOLD) untold.set(id.toHexString(), { fence, modifyIndex, changes, entries });
        throw error;
      });
    if (matchedCount === 0) throw new Superseded('another has the mailbox');
    await tell(changes, entries);
    return { result, user: mailbox.user };
  };

  /**
   * Of what earlier tries removed, what nobody has told: who took the mailbox over did so before the journal said that
   * anything would go, and has counted up to that MODSEQ with changes of its own. What is above is told by the repair.
   */
  const untoldRemovals = async (mailbox: ObjectId, removals: readonly JournalDocument[], found: number) => {
    const untold = removals.filter(({ modseq }) => modseq <= found);
    if (untold.length === 0) return [];
    const uid = { $in: untold.map((entry) => entry.uid ?? 0) };
    const left = await messages.find({ mailbox, uid }, { projection: { uid: 1 } }).toArray();
    const there = new Set(left.map((message) => message.uid));
    return [...new Map(untold.map((entry) => [entry.uid ?? 0, entry])).values()].filter(
      (entry) => !there.has(entry.uid ?? 0),
    );
  };

  const hold: Exclusive['hold'] = async (id, work, again = false) => {
    const removals: JournalDocument[] = [];
    for (let tries = 1; ; tries += 1) {
      try {
        const redone = again || tries > 1;
        const done = await tryHold(id, work, redone, removals);
        // What an earlier try had taken of the account's room is not known.
        if (done && redone) await recount(collections, done.user);
        // It was removed in between: what the earlier try wrote is in no mailbox.
        if (!done && redone) await collections.messages.deleteMany({ mailbox: id });
        return done?.result;
      } catch (error) {
        // A UID that another has taken, or left behind unfinished, is seen as a key that is there.
        if (!(error instanceof Superseded || isDuplicate(error)) || tries >= MAX_TRIES) throw error;
      }
    }
  };

  return { queue, hold, run: (mailbox, work) => queue(mailbox, () => hold(mailbox, work)) };
}

function expungeOf(
  { user, _id }: MailboxDocument,
  modseq: number,
  entries: readonly JournalDocument[],
): Change {
  const uids = entries.map(({ uid }) => uid ?? 0).sort((one, other) => one - other);
  return { kind: 'expunge', account: accountId(user), mailbox: mailboxId(_id), modseq, uids };
}
