import type { Change, Mailbox, MailboxId, Snapshot } from '../store/contract.ts';
import type { SequenceSet } from './wire/sequence-set.ts';
import { numberOfUid, numbersInSet, uidsInSet } from './wire/sequence-set.ts';

/**
 * A selected mailbox as its client knows it. What others change waits here until it may be told (RFC 9051 7.5.1), so
 * the message numbers that the client uses and ours are always the same.
 */
export interface Selected {
  readonly mailbox: MailboxId;
  readonly name: string;
  /** EXAMINE: nothing may be changed. */
  readonly readOnly: boolean;
  /** What the client was told of, ascending; the message with number n stands at n - 1. */
  readonly uids: readonly number[];
  /** UIDs of a set of UIDs or of message numbers; `exceeds` where a number is above the count. */
  resolve(set: SequenceSet, uid: boolean): { readonly uids: number[]; readonly exceeds: boolean };
  /** Message number of a UID, 0 where the client does not know it. */
  numberOf(uid: number): number;
  /** Whether some of `uids` are gone and the client was not told. */
  anyGone(uids: readonly number[]): boolean;
  /** Takes in a change of this mailbox; answers whether there is something to tell. */
  hear(change: Change): boolean;
  /** Our own EXPUNGE or MOVE is done; harmless if the change says so too. */
  expunged(uids: readonly number[]): void;
  /** What may be told now, in the order in which it must be written; it counts as told. */
  announce(what: { readonly expunges: boolean; readonly flags: boolean }): readonly Notice[];
  /** Changes that wait to be told; past `MAX_UNTOLD` the session ends. */
  readonly untold: number;
}

export type Notice =
  | { readonly kind: 'expunge'; readonly number: number }
  | { readonly kind: 'exists'; readonly count: number }
  | {
      readonly kind: 'flags';
      readonly number: number;
      readonly flags: readonly string[];
      readonly modseq: number;
    };

/**
 * A client that sends no command for half an hour while another device goes through 20 000 messages; 100 bytes each,
 * so 2 MB. It is cheaper for both to connect again than for us to keep more.
 */
export const MAX_UNTOLD = 20_000;

/** The changes a session hears, told apart from those it made itself by `origin`. */
export interface SelectedOptions {
  readonly mailbox: Mailbox;
  readonly snapshot: Snapshot;
  readonly readOnly: boolean;
  /** What we call ourselves in the store; our own flag changes are told by the command that made them. */
  readonly origin: string;
}

export function createSelected({ mailbox, snapshot, readOnly, origin }: SelectedOptions): Selected {
  let uids = [...snapshot.uids];
  /** Not told yet: ascending, above all of `uids`. */
  let arrived: number[] = [];
  /** Not told yet: some of `uids`. */
  let gone = new Set<number>();
  let flags = new Map<number, { readonly flags: readonly string[]; readonly modseq: number }>();
  /** The highest UID ever seen here: a change that comes late or twice never counts a message twice. */
  let highestUid = Math.max(snapshot.uidNext - 1, uids.at(-1) ?? 0);

  const expunged = (expungedUids: readonly number[]) => {
    const unknown = new Set<number>();
    for (const uid of expungedUids) {
      flags.delete(uid);
      if (numberOfUid(uids, uid) > 0) gone.add(uid);
      else unknown.add(uid);
    }
    // Came and went before we said anything: never there.
    if (arrived.length > 0) arrived = arrived.filter((uid) => !unknown.has(uid));
  };

  const untold = () => arrived.length + gone.size + flags.size;

  function tellExpunges(): Notice[] {
    // From the highest number down, so that none moves before it is told.
    const notices = [...gone]
      .map((uid): Notice & { kind: 'expunge' } => ({ kind: 'expunge', number: numberOfUid(uids, uid) }))
      .sort((a, b) => b.number - a.number);
    const left = gone;
    uids = uids.filter((uid) => !left.has(uid));
    gone = new Set();
    return notices;
  }

  function tellFlags(): Notice[] {
    const notices: Notice[] = [];
    for (const [uid, state] of flags) {
      const number = numberOfUid(uids, uid);
      if (number > 0) notices.push({ kind: 'flags', number, ...state });
    }
    flags = new Map();
    return notices;
  }

  return {
    mailbox: mailbox.id,
    name: mailbox.name,
    readOnly,
    get uids() {
      return uids;
    },

    resolve(set, uid) {
      return uid ? { uids: uidsInSet(set, uids), exceeds: false } : numbersInSet(set, uids);
    },

    numberOf: (uid) => numberOfUid(uids, uid),
    anyGone: (some) => gone.size > 0 && some.some((uid) => gone.has(uid)),

    hear(change) {
      // A change that the snapshot already shows.
      if (!('modseq' in change) || change.modseq <= snapshot.highestModseq) return false;
      if (change.kind === 'exists') {
        if (change.uid <= highestUid) return false;
        highestUid = change.uid;
        arrived.push(change.uid);
      } else if (change.kind === 'expunge') {
        expunged(change.uids);
      } else {
        for (const { uid, flags: set } of change.messages) {
          // Our own changes are told by the command that made them, unless another's waits for the same message: then
          // the client learns what has become of both.
          if (change.origin === origin && !flags.has(uid)) continue;
          // A message that was not told of yet is fetched with its flags anyway.
          if (!gone.has(uid) && numberOfUid(uids, uid) > 0) {
            flags.set(uid, { flags: set, modseq: change.modseq });
          }
        }
      }
      return untold() > 0;
    },

    expunged,

    announce(what) {
      const notices: Notice[] = [];
      if (what.expunges && gone.size > 0) notices.push(...tellExpunges());
      if (arrived.length > 0) {
        for (const uid of arrived) uids.push(uid);
        arrived = [];
        notices.push({ kind: 'exists', count: uids.length });
      }
      if (what.flags && flags.size > 0) notices.push(...tellFlags());
      return notices;
    },

    get untold() {
      return untold();
    },
  };
}
