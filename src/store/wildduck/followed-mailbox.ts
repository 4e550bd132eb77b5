import type { Timer } from '../../clock.ts';
import type { AccountId, Change, MailboxId } from '../contract.ts';
import { mergeChanges } from './merge-changes.ts';

/** A change of a mailbox's content. */
export type MailboxChange = Extract<Change, { readonly modseq: number }>;

/** What became of a mailbox since some modseq, as the database has it now. */
export interface CatchUp {
  /** All changes up to here are among `changes`, or were overtaken by later ones. */
  readonly highestModseq: number;
  /** Ascending by modseq. */
  readonly changes: readonly MailboxChange[];
  /** All modseqs that were found, also of messages that are told with another's. */
  readonly modseqs: ReadonlySet<number>;
}

export interface FollowedParts {
  readonly account: AccountId;
  readonly mailbox: MailboxId;
  /** Counters of the snapshot from which it is followed. */
  readonly highestModseq: number;
  readonly uidNext: number;
  readonly tell: (change: Change) => void;
  /** Undefined where the mailbox is gone. */
  readonly catchUp: (after: Position) => Promise<CatchUp | undefined>;
  /** Calls after a moment: what was overtaken on the way comes in by itself, mostly. */
  readonly afterMoment: (task: () => void) => Timer;
  readonly onFault: (error: unknown) => void;
}

/** What has been told of a mailbox. */
export interface Position {
  readonly mailbox: MailboxId;
  readonly account: AccountId;
  /** Changes up to this modseq, but for `missed`. */
  readonly told: number;
  /** Of these modseqs below `told` nothing was found: overtaken, never used, or not written yet. */
  readonly missed: readonly number[];
  readonly highestUid: number;
}

/** A mailbox that somebody in this process looks at: each of its changes is told once and in the order of modseq. */
export interface FollowedMailbox {
  readonly account: AccountId;
  readonly told: number;
  /** Takes in a change from wherever. Resolves when it has been told; at once where nothing is missing before it. */
  take(change: MailboxChange, own: boolean): Promise<void> | undefined;
  /** There may be something new; below `modseq` something surely is. */
  look(modseq?: number): Promise<void>;
}

/** Modseqs that are looked for once more; what is older comes no more. */
const MAX_MISSED = 200;

interface Waiting {
  readonly modseq: number;
  /** Undefined: something is there up to `modseq`, the database knows what. */
  readonly change: MailboxChange | undefined;
  readonly own: boolean;
  readonly done: () => void;
}

export function createFollowedMailbox(parts: FollowedParts): FollowedMailbox {
  const { account, mailbox } = parts;
  let told = parts.highestModseq;
  let highestUid = parts.uidNext - 1;
  let missed: number[] = [];
  let waiting: Waiting[] = [];
  let working = false;

  const tell = (change: MailboxChange) => {
    if (change.kind === 'exists') highestUid = Math.max(highestUid, change.uid);
    parts.tell(change);
  };

  const tellNext = (change: MailboxChange) => {
    told = change.modseq;
    tell(change);
  };

  /** Reads what is between what was told and what waits, and tells all of it in order. */
  const fillGap = async (): Promise<void> => {
    const before = told;
    const asked = new Set(waiting);
    const read = await parts.catchUp({ mailbox, account, told, missed, highestUid });
    if (read === undefined) {
      for (const { change } of waiting) if (change) tell(change);
      finish(waiting);
      waiting = [];
      return;
    }
    const { highestModseq, changes, modseqs } = read;
    const came = waiting.flatMap(({ change }) =>
      change && change.modseq > before && change.modseq <= highestModseq ? [change] : [],
    );
    const fresh = mergeChanges(came, changes);
    const found = new Set([...modseqs, ...fresh.map(({ modseq }) => modseq)]);
    told = Math.max(told, highestModseq);
    missed = missed.filter((modseq) => !found.has(modseq));
    for (let modseq = Math.max(before + 1, told - MAX_MISSED); modseq <= told; modseq += 1)
      if (!found.has(modseq)) missed.push(modseq);
    missed = missed.slice(-MAX_MISSED);
    for (const change of fresh) tell(change);
    // Told by somebody, but not in the database: nothing can be learned about what is before it.
    const stuck = waiting.filter((each) => each.modseq > told && asked.has(each)).sort(byModseq);
    for (const { change } of stuck) if (change) tellNext(change);
    const over = waiting.filter((each) => each.modseq <= told || asked.has(each));
    waiting = waiting.filter((each) => !over.includes(each));
    finish(over);
  };

  /** Until nothing waits. Never rejects. */
  const work = async (): Promise<void> => {
    working = true;
    let waited = false;
    while (waiting.length > 0) {
      waiting.sort(byModseq);
      const [next] = waiting;
      if (next?.change && next.modseq === told + 1) {
        waiting.shift();
        tellNext(next.change);
        next.done();
      } else if (next && next.modseq <= told && next.modseq > 0) {
        waiting.shift();
        next.done();
      } else if (!waited && waiting.every(({ own, modseq }) => !own && modseq > 0)) {
        waited = true;
        await new Promise<void>((resolve) => parts.afterMoment(resolve));
      } else {
        try {
          await fillGap();
        } catch (error) {
          parts.onFault(error);
          // `told` stays: once the database answers, what is between is told, and these perhaps once more.
          for (const { change } of waiting) if (change) tell(change);
          finish(waiting);
          waiting = [];
        }
      }
    }
    working = false;
  };

  const enqueue = (modseq: number, change: MailboxChange | undefined, own: boolean): Promise<void> =>
    new Promise((done) => {
      waiting.push({ modseq, change, own, done });
      if (!working) void work();
    });

  return {
    account,
    get told() {
      return told;
    },
    take(change, own) {
      // Late: we looked for it before it was there. It may be overtaken now, so the database is asked what became of it.
      if (missed.includes(change.modseq)) return enqueue(0, undefined, own);
      if (working) return enqueue(change.modseq, change, own);
      if (change.modseq <= told) return undefined;
      if (change.modseq > told + 1) return enqueue(change.modseq, change, own);
      tellNext(change);
      return undefined;
    },
    look: (modseq = 0) => enqueue(modseq, undefined, false),
  };
}

function byModseq(one: Waiting, other: Waiting): number {
  return one.modseq - other.modseq;
}

function finish(waiting: readonly Waiting[]): void {
  for (const { done } of waiting) done();
}
