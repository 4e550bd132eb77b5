import type { Account, KeptSignature, Mailbox, Message, PushJob, SignUpToken } from './contract.ts';

/**
 * All that a store holds, for `teal move` to another one: read while no relay serves it. Reading changes nothing in it.
 * Accounts and mailboxes have no ids here, for another store gives them its own: they go by address and name. Texts are
 * in the order of their bytes in UTF-8.
 */
export interface MoveSource extends AsyncDisposable {
  /** Every account, ascending by address. */
  accounts(): AsyncIterable<MovedAccount>;
  /** The messages of a mailbox whose UIDs are above `afterUid`, ascending. */
  messages(address: string, mailbox: string, afterUid: number): AsyncIterable<MovedMessage>;
  /** Ascending by token. */
  pushJobs(): AsyncIterable<MovedPushJob>;
  /** Ascending by `id`. */
  queue(): AsyncIterable<MovedQueued>;
  values(): Promise<ReadonlyMap<string, string>>;
  /** In any order. */
  signUpTokens(): Promise<readonly SignUpToken[]>;
  /** No UIDVALIDITY ever given is above this (RFC 9051 2.3.1.1: a later one must be). */
  lastUidValidity(): Promise<number>;
}

/**
 * A store that is being filled by `teal move`. Every call is durable when it resolves, and may be made again: a move
 * that was killed begins anew, and goes on where each mailbox ends. What a client knows of its mailbox stays true: UIDs,
 * UIDVALIDITY and MODSEQ are those of the source. What was expunged before is forgotten: `expungedSince` says so.
 * As a source it gives what has been put.
 */
export interface MoveTarget extends MoveSource {
  /**
   * Marks the store as one that is being filled from `source`: it has the value `MOVING` until `finish`. Rejects, with a
   * text for the operator, where it holds anything, unless that is from an earlier `begin` with the same `source`.
   */
  begin(source: string): Promise<void>;
  /** Makes the account and its mailboxes as they are in the source, or leaves them if they are there. */
  putAccount(account: MovedAccount): Promise<void>;
  /** The highest UID that has been put into the mailbox, 0 where there is none. */
  lastUid(address: string, mailbox: string): Promise<number>;
  /** Ascending, above `lastUid`. All of them or, when it rejects, the first ones only. */
  putMessages(address: string, mailbox: string, messages: readonly MovedMessage[]): Promise<void>;
  putPushJobs(jobs: readonly MovedPushJob[]): Promise<void>;
  /** One that has been put already (by its `id`) is left as it is. */
  putQueued(queued: MovedQueued): Promise<void>;
  putValues(values: ReadonlyMap<string, string>): Promise<void>;
  /** One that is there is left as it is. */
  putSignUpTokens(tokens: readonly SignUpToken[]): Promise<void>;
  putLastUidValidity(uidValidity: number): Promise<void>;
  /** It may be served from now on. */
  finish(): Promise<void>;
}

/** Key of the value that a store has while it is being filled: no relay may serve it. */
export const MOVING = 'moving';

export interface MovedAccount extends Omit<Account, 'id'> {
  /** In any order, each with the time of its last SETMETADATA. */
  readonly tokens: readonly { readonly token: string; readonly setAt: number }[];
  /** In any order. */
  readonly mailboxes: readonly Omit<Mailbox, 'id' | 'account'>[];
}

/** In memory one at a time or few: their bytes are with them. */
export interface MovedMessage extends Message {
  readonly message: Buffer;
}

/** A claim does not move: who had the job is gone, and it is due again. */
export interface MovedPushJob extends Omit<PushJob, 'claim'> {
  readonly due: number;
}

/** A message of the queue with all that waits of it. A claim does not move; in memory one at a time. */
export interface MovedQueued {
  /** Names it in the source, and stays its own in the target for as long as that is being filled. */
  readonly id: string;
  readonly sender: string;
  readonly queuedAt: number;
  readonly headerSize: number;
  readonly message: Buffer;
  readonly signature: KeptSignature | undefined;
  /** Ascending by recipient. */
  readonly rows: readonly {
    readonly recipient: string;
    readonly destination: string;
    readonly attempts: number;
    readonly due: number;
    readonly reason: string;
  }[];
}
