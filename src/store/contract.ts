/**
 * What every store of Teal promises. Data in, data out; nothing above this file knows which store it has.
 * `test/contract/` holds each store to it.
 *
 * 1. A promise that resolves means durable: it outlives kill -9 and power loss at any later instant.
 * 2. A UID seen is a UID complete: of one mailbox, no message becomes visible before one with a lower UID,
 *    and UIDNEXT is never above a UID that is still being written.
 * 3. Bytes out are the bytes that went in; `size` is their length.
 * 4. Every change that others can see is told to `onChange` after it is durable and visible, before or in the same
 *    turn as its own promise resolves; of one mailbox each change once, in the order of `modseq`.
 * 5. What is deleted is gone: no copy of an expunged message is kept, its body goes with its last row.
 * 6. A failure that may pass rejects with StoreUnavailable; nothing of what was asked is then visible.
 * 7. Times are handed in (`now`, milliseconds since 1970); a store has no clock of its own.
 */

import type { SignUpTokens } from './sign-up-tokens.ts';

declare const brand: unique symbol;
/** Opaque; another store's look different. */
export type AccountId = string & { readonly [brand]: 'account' };
export type MailboxId = string & { readonly [brand]: 'mailbox' };

/** The database, its disk or its network does not answer: SMTP says 4xx, IMAP says BYE (promise 4 of the design). */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}

/** Every local delivery of a plan would exceed its account's quota, and it has no others; nothing was kept. */
export class OverQuota extends Error {
  override name = 'OverQuota';
}

export interface Store extends AsyncDisposable {
  readonly accounts: Accounts;
  readonly mailboxes: Mailboxes;
  readonly messages: Messages;
  readonly tokens: DeviceTokens;
  readonly pushJobs: PushJobs;
  readonly queue: Queue;
  readonly values: Values;
  readonly signUpTokens: SignUpTokens;

  /** Takes a message as a whole: when it resolves, all of the plan is durable; when it rejects, none of it is. */
  accept(plan: Plan): Promise<Accepted>;

  /** Resolves when the store answers reads and durable writes; else rejects with StoreUnavailable. */
  ping(): Promise<void>;

  /**
   * A count for rate limits, where several processes share the store: takes `cost` for `key` at a rate of one in
   * `intervalMs` with `burst` at once, and answers 0, or takes nothing and answers in how many milliseconds it would.
   * Kept in memory alone. Undefined where one process has the store for itself.
   */
  readonly meter?: (
    key: string,
    cost: number,
    rate: { readonly intervalMs: number; readonly burst: number },
  ) => Promise<number>;
}

// ---- accepting ---------------------------------------------------------------------------------------------------

/** One message, all that becomes of it. The bytes are kept once, however many deliveries there are. */
export interface Plan {
  readonly now: number;
  readonly message: Buffer;
  /** Length of the header block with the empty line that ends it; `message.length` where there is no such line. */
  readonly headerSize: number;
  readonly deliveries: readonly Delivery[];
  /** The recipients elsewhere: when the plan is durable, the queue has a row for each, due at once. */
  readonly outgoing?: Outgoing;
}

export interface Outgoing {
  /** MAIL FROM on the way out; '' is the null sender. */
  readonly sender: string;
  /** Each once; at least one, at most `MAX_OUTGOING`. */
  readonly recipients: readonly OutgoingRecipient[];
}

export interface OutgoingRecipient {
  readonly address: string;
  /** What rows are gathered by: the domain in lower case, or the address literal with its brackets. */
  readonly destination: string;
}

/** Recipients of one plan in the queue: those of one transaction (METADATA maxsmtprecipients). */
export const MAX_OUTGOING = 1000;

export interface Delivery {
  readonly account: AccountId;
  /** Whether each device token of the account gets a push job with this message. */
  readonly push: boolean;
  readonly flags?: readonly string[];
}

export interface Accepted {
  /** In the order of the plan's deliveries. */
  readonly deliveries: readonly DeliveryOutcome[];
}

/**
 * `over-quota`: this one alone was left out, the rest stand.
 * `no-account`: the account was removed in the meantime.
 */
export type DeliveryOutcome =
  | { readonly kind: 'delivered'; readonly mailbox: MailboxId; readonly uid: number; readonly modseq: number }
  | { readonly kind: 'over-quota' }
  | { readonly kind: 'no-account' };

// ---- accounts ----------------------------------------------------------------------------------------------------

export interface Account {
  readonly id: AccountId;
  /** Lower case, `local@domain`. */
  readonly address: string;
  /** A PHC string, see accounts/passwords.ts. */
  readonly passwordHash: string;
  /** Midnight UTC of the day: Teal keeps nothing finer about people (relay.md 6, "Last login"). */
  readonly createdDay: number;
  readonly lastLoginDay: number;
  /** Takes cleartext mail from outside (upstream: the file enforceE2EEincoming is absent). New accounts do not. */
  readonly acceptsCleartext: boolean;
}

export interface Accounts {
  find(address: string): Promise<Account | undefined>;
  /** All of `addresses` that exist, by address; at most 1000 are asked at once. */
  findMany(addresses: readonly string[]): Promise<ReadonlyMap<string, Account>>;
  /**
   * Makes the account and its INBOX, or answers with the one that is there: of several that race exactly one has
   * `created: true`, and all get the same account.
   */
  create(address: string, passwordHash: string, now: number): Promise<{ account: Account; created: boolean }>;
  setPasswordHash(id: AccountId, passwordHash: string): Promise<void>;
  /** Keeps the day of the last login, nothing finer; writes at most once a day for an account. */
  touch(id: AccountId, now: number): Promise<void>;
  setAcceptsCleartext(id: AccountId, accepts: boolean): Promise<void>;
  /** Removes the account with its mail, tokens and jobs; open sessions hear `{ kind: 'account-removed' }`. */
  remove(id: AccountId): Promise<void>;
  /** Bytes used, and the limit the store was opened with. */
  quota(id: AccountId): Promise<Quota>;
}

export interface Quota {
  readonly used: number;
  readonly limit: number;
}

// ---- mailboxes ---------------------------------------------------------------------------------------------------

export interface Mailbox {
  readonly id: MailboxId;
  readonly account: AccountId;
  /** Decoded (not UTF-7), levels parted by `/`; `INBOX` in capitals. */
  readonly name: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModseq: number;
  readonly subscribed: boolean;
}

export interface MailboxStatus extends Mailbox {
  readonly messages: number;
  readonly unseen: number;
  readonly size: number;
}

export interface Mailboxes {
  /** At most `MAX_MAILBOXES`, INBOX first, then by name. */
  list(account: AccountId): Promise<readonly Mailbox[]>;
  find(account: AccountId, name: string): Promise<Mailbox | undefined>;
  status(id: MailboxId): Promise<MailboxStatus | undefined>;
  create(account: AccountId, name: string, now: number): Promise<'created' | 'exists' | 'too-many'>;
  /** INBOX cannot be removed or renamed: the caller sees to it. */
  remove(id: MailboxId): Promise<'removed' | 'missing'>;
  /**
   * Those below it go with it (RFC 9051 6.3.6); `exists` where one of the new names is another's: then none is
   * renamed. To the name it has already is no change, and `renamed`.
   */
  rename(id: MailboxId, name: string): Promise<'renamed' | 'exists' | 'missing'>;
  subscribe(id: MailboxId, subscribed: boolean): Promise<void>;
}

/** Mailboxes of one account. */
export const MAX_MAILBOXES = 100;

// ---- messages ----------------------------------------------------------------------------------------------------

export interface Message {
  readonly uid: number;
  readonly modseq: number;
  /**
   * System flags with their backslash in RFC 9051's spelling, keywords as first given, at most `MAX_KEYWORDS` of them:
   * what is more is left out. No \Recent, nor any other name with a backslash.
   */
  readonly flags: readonly string[];
  readonly size: number;
  readonly headerSize: number;
  /** INTERNALDATE: when it was delivered, or what APPEND said. */
  readonly internalDate: number;
  /** When it came into this mailbox (RFC 8514). */
  readonly saveDate: number;
}

/** The UIDs of a mailbox at one instant, with the counters of the same instant. */
export interface Snapshot {
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModseq: number;
  /** Ascending. */
  readonly uids: readonly number[];
  /** The lowest UID without \Seen, undefined where there is none. */
  readonly firstUnseen: number | undefined;
}

/** A message's bytes, readable to the end even if it is expunged meanwhile. Dispose of it when done. */
export interface Body extends AsyncDisposable {
  readonly size: number;
  readonly headerSize: number;
  /** The bytes from `start` up to, not including, `end` (both within the size). */
  read(start: number, end: number): Promise<Buffer>;
}

export interface StoreFlags {
  readonly action: 'set' | 'add' | 'remove';
  readonly flags: readonly string[];
  /** RFC 7162 UNCHANGEDSINCE: messages with a higher modseq are left alone and reported in `refused`. */
  readonly unchangedSince?: number;
}

export interface Messages {
  snapshot(mailbox: MailboxId): Promise<Snapshot | undefined>;
  /** Of these UIDs the messages that are there, ascending; at most `MAX_UIDS_AT_ONCE` are asked at once. */
  get(mailbox: MailboxId, uids: readonly number[]): Promise<readonly Message[]>;
  /** The messages whose modseq is above `modseq`, ascending by UID (RFC 7162 CHANGEDSINCE). */
  changedSince(mailbox: MailboxId, modseq: number): Promise<readonly Message[]>;
  /** UIDs expunged after `modseq`; `complete: false` where the store no longer knows (RFC 7162 3.2.5.2: then send all). */
  expungedSince(mailbox: MailboxId, modseq: number): Promise<{ uids: readonly number[]; complete: boolean }>;
  /** Header blocks by UID, each with the empty line that ends it; at most `MAX_UIDS_AT_ONCE` UIDs. */
  headers(mailbox: MailboxId, uids: readonly number[]): Promise<ReadonlyMap<number, Buffer>>;
  body(mailbox: MailboxId, uid: number): Promise<Body | undefined>;

  append(mailbox: MailboxId, message: NewMessage): Promise<Appended | 'over-quota' | 'missing'>;
  /**
   * Messages that are gone are passed over. `changed` has every other one that is not refused, as it is now,
   * ascending; one whose flags were so already keeps its modseq and is in no change. `origin` comes back in the
   * change, so that a session knows its own.
   */
  storeFlags(
    mailbox: MailboxId,
    uids: readonly number[],
    change: StoreFlags,
    origin?: string,
  ): Promise<{ changed: readonly Message[]; refused: readonly number[] }>;
  /**
   * Removes those of `uids` (all: every one) that carry \Deleted; answers with what was removed, ascending. Of many, the
   * first may be gone, and told, before the last are, and when it rejects.
   */
  expunge(mailbox: MailboxId, uids: readonly number[] | 'all', origin?: string): Promise<readonly number[]>;
  /** Copies or moves as a whole, flags and INTERNALDATE with it (RFC 9051 6.4.7, RFC 6851). */
  copy(
    from: MailboxId,
    uids: readonly number[],
    to: MailboxId,
    how: { readonly move: boolean; readonly now: number; readonly origin?: string },
  ): Promise<Copied | 'over-quota' | 'missing'>;
}

/** UIDs in one call of `get` and `headers`. Of headers the caller asks for as many as it has memory for: `get` says their sizes. */
export const MAX_UIDS_AT_ONCE = 500;
/** Keywords of one message: clients use a handful; without a bound they would be room outside the quota. */
export const MAX_KEYWORDS = 64;

export interface NewMessage {
  readonly now: number;
  readonly message: Buffer;
  readonly headerSize: number;
  readonly flags: readonly string[];
  readonly internalDate: number;
}

export interface Appended {
  readonly uidValidity: number;
  readonly uid: number;
}

export interface Copied {
  readonly uidValidity: number;
  /** Pairs in ascending order; UIDs that were gone are not in it. */
  readonly source: readonly number[];
  readonly target: readonly number[];
}

// ---- changes -----------------------------------------------------------------------------------------------------

/** What became visible. Of one mailbox each comes once, in the order of modseq. */
export type Change =
  | {
      readonly kind: 'exists';
      readonly account: AccountId;
      readonly mailbox: MailboxId;
      readonly modseq: number;
      readonly uid: number;
      readonly flags: readonly string[];
      readonly origin?: string;
    }
  | {
      readonly kind: 'flags';
      readonly account: AccountId;
      readonly mailbox: MailboxId;
      readonly modseq: number;
      /** Every message of one STORE has the same modseq. */
      readonly messages: readonly { readonly uid: number; readonly flags: readonly string[] }[];
      readonly origin?: string;
    }
  | {
      readonly kind: 'expunge';
      readonly account: AccountId;
      readonly mailbox: MailboxId;
      readonly modseq: number;
      readonly uids: readonly number[];
      readonly origin?: string;
    }
  | { readonly kind: 'mailbox-removed'; readonly account: AccountId; readonly mailbox: MailboxId }
  | { readonly kind: 'account-removed'; readonly account: AccountId }
  /** There is a push job that is due now. */
  | { readonly kind: 'push' }
  /** There is a row in the queue that is due now. */
  | { readonly kind: 'queue' };

export type OnChange = (change: Change) => void;

// ---- push --------------------------------------------------------------------------------------------------------

/** The device tokens of an account: a set, each with the time of its last SETMETADATA (relay.md 5). */
export interface DeviceTokens {
  /** Adds or refreshes; the oldest goes where there are more than `MAX_TOKENS`. */
  add(account: AccountId, token: string, now: number): Promise<void>;
  /** Those not older than `TOKEN_LIFE`, oldest first. */
  list(account: AccountId, now: number): Promise<readonly string[]>;
}

/** Tokens of one account: several devices, each renewed now and then. */
export const MAX_TOKENS = 32;
/** relay.md 5: 90 days after the last SETMETADATA. */
export const TOKEN_LIFE = 90 * 24 * 3600 * 1000;

/**
 * At most one job for one token at any time. A plan's delivery makes it, due at once; where there is one already it is
 * marked `again` and its schedule starts anew, so that a burst is one POST at once and one after.
 */
export interface PushJob {
  readonly token: string;
  /** Failed tries since the newest message. */
  readonly attempts: number;
  /** When the newest message came: the deadline counts from here. */
  readonly since: number;
  /** Fences a claim, opaque: never given twice, not even to a job made anew. `settle` with an old one does nothing. */
  readonly claim: string;
}

export interface PushJobs {
  /** Takes up to `limit` jobs that are due, for `leaseMs`: nobody else gets them before that is over. */
  claim(now: number, limit: number, leaseMs: number): Promise<readonly PushJob[]>;
  /**
   * `done`: removed; where a message came since the claim, due again at `againAt`. `retry`: due at `at`, one attempt
   * more; a message that came since the claim makes it due at `againAt` with no attempts. `gone`: the job and the
   * token go, for every account that has it. `give-up`: the job goes, the token stays.
   */
  settle(job: PushJob, outcome: PushOutcome): Promise<void>;
  /** When the next job is due, undefined where there is none. */
  nextDue(): Promise<number | undefined>;
}

export type PushOutcome =
  | { readonly kind: 'done'; readonly againAt: number }
  | { readonly kind: 'retry'; readonly at: number; readonly againAt: number }
  | { readonly kind: 'gone' }
  | { readonly kind: 'give-up'; readonly againAt: number };

// ---- queue -------------------------------------------------------------------------------------------------------

declare const queued: unique symbol;
/** Opaque: one message in the queue, whose bytes are kept once for all of its rows. */
export type QueuedId = string & { readonly [queued]: true };

/**
 * Mail on its way to other relays: one row for each recipient. The bytes of a message stay until its last row and its
 * last copy in a mailbox are gone.
 *
 * Who claims a row has it for the length of the lease, and longer by `renew`: whoever lives says so all along, and what a
 * dead process had is anybody's soon (at the next start, where one process has the store for itself). A claim whose lease
 * is over is still good as long as nobody else has claimed the row: who was away for a while goes on. It is lost when
 * somebody has: then the row and all that follows from its try are the other's. Whoever had it before breaks off, and
 * neither bounces nor settles; what it had brought away already arrives twice. So there is at most one duplicate for each
 * process that died, stood still or was cut off for longer than a lease.
 */
export interface Queue {
  /**
   * Takes rows that are due, in batches: each has one message's due rows of one destination. Destinations in `except` are
   * passed over, however many rows wait for them: a call costs by what it gives, not by what waits. The destination that
   * has been due the longest comes first, within it the message that has, of those due at the same time the one that came
   * first.
   */
  claim(now: number, wish: ClaimWish): Promise<readonly QueueBatch[]>;
  /**
   * Keeps claims for `leaseMs` from `now` on; makes none shorter. Answers with those of `batches` that are lost: of which a
   * row is no longer theirs, having been claimed anew or settled. What else such a batch has comes due with its lease.
   * All that are under way in one call, as many as they may be. Where it rejects some may have been renewed.
   */
  renew(now: number, batches: readonly QueueBatch[], leaseMs: number): Promise<readonly QueueBatch[]>;
  /** The bytes of a queued message; undefined where its last row is gone. */
  body(message: QueuedId): Promise<Body | undefined>;
  /** Keeps what was signed with, so that later tries need no signing; nothing where the message is gone. */
  keepSignature(message: QueuedId, signature: KeptSignature): Promise<void>;
  /** `outcomes` go by the batch's rows, in their order. Does nothing for rows that are another's by now (see `fence`). */
  settle(batch: QueueBatch, outcomes: readonly RowOutcome[]): Promise<void>;
  /** When the next row is due whose destination is not in `except`; undefined where there is none. Leased rows count. */
  nextDue(except: readonly string[]): Promise<number | undefined>;
  /** For people: up to `limit` destinations with mail that waits, the one with the oldest mail first. */
  destinations(limit: number): Promise<readonly WaitingDestination[]>;
  /** For people: up to `limit` rows that wait for one destination, the oldest first. */
  rows(destination: string, limit: number): Promise<readonly WaitingRow[]>;
}

export interface ClaimWish {
  /** Batches over all, and of one destination. */
  readonly limit: number;
  readonly perDestination: number;
  /** Rows in one batch; further rows of the same message make another batch. */
  readonly rowsPerBatch: number;
  readonly leaseMs: number;
  /** Destinations that are as busy as they may be; at most `MAX_EXCEPT`. */
  readonly except: readonly string[];
  /** Of these destinations and no others; at most `MAX_EXCEPT`. All where it is left out. */
  readonly only?: readonly string[] | undefined;
}

/** Destinations named in one call: a bound on what may be under way at once. */
export const MAX_EXCEPT = 1000;

export interface QueueBatch {
  readonly message: QueuedId;
  readonly destination: string;
  readonly sender: string;
  /** When the message was accepted: its lifetime counts from here. */
  readonly queuedAt: number;
  readonly size: number;
  readonly headerSize: number;
  readonly signature: KeptSignature | undefined;
  /** At least one. */
  readonly rows: readonly QueueRow[];
  /** Counts up with every claim of a row: `settle` and `renew` with an old one do nothing. */
  readonly fence: number;
}

export interface QueueRow {
  readonly id: string;
  readonly recipient: string;
  /** Tries that have failed. */
  readonly attempts: number;
}

export interface KeptSignature {
  /** Names the keys; with others the message is signed anew. */
  readonly keys: string;
  /** The fields that go before the message, each ended by CRLF. At most `MAX_SIGNATURE` characters. */
  readonly fields: string;
}

export const MAX_SIGNATURE = 16_384;

/** `done`: the row goes, delivered or given up. `retry`: one attempt more, due at `at`; `reason` is for people. */
export type RowOutcome =
  { readonly kind: 'done' } | { readonly kind: 'retry'; readonly at: number; readonly reason: string };

/** Characters of a reason that are kept. */
export const MAX_REASON = 500;

export interface WaitingDestination {
  readonly destination: string;
  readonly rows: number;
  /** When the oldest of them was accepted. */
  readonly oldest: number;
  readonly nextDue: number;
}

export interface WaitingRow {
  readonly recipient: string;
  readonly sender: string;
  readonly queuedAt: number;
  readonly size: number;
  readonly attempts: number;
  readonly due: number;
  /** Of the last try; '' before the first. */
  readonly reason: string;
}

// ---- values ------------------------------------------------------------------------------------------------------

/** Small values that the relay itself keeps: its domain, settings that change while running. */
export interface Values {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  /** Sets the value if there is none; answers with the one that is there afterwards. */
  setOnce(key: string, value: string): Promise<string>;
  /**
   * Sets the value if the one there is `was` (undefined: if there is none); tells whether it did. Of several that come
   * at once with the same `was` and values of their own, from whatever process, exactly one hears `true`.
   */
  setIf(key: string, was: string | undefined, value: string): Promise<boolean>;
  /** Removes the value if it is `was`; tells whether it did. */
  removeIf(key: string, was: string): Promise<boolean>;
  /** Those whose key begins with `prefix`, by key in the order of its bytes; at most `MAX_VALUES_LISTED`. */
  list(prefix: string): Promise<ReadonlyMap<string, string>>;
}

/** Values in one list: they are few, and made by the operator. */
export const MAX_VALUES_LISTED = 10_000;

// ---- sign-up by token ---------------------------------------------------------------------------------------------

export * from './sign-up-tokens.ts';

// ---- moving ------------------------------------------------------------------------------------------------------

export * from './moving.ts';

// ---- opening -----------------------------------------------------------------------------------------------------

/** What any store is opened with; a backend adds its own (where the data is). */
export interface StoreOptions {
  readonly onChange: OnChange;
  /** Bytes of mail for one account (max_mailbox_size). */
  readonly quota: number;
}

/**
 * Quota, as relay.md 6: a delivery (of `accept`) that takes an account above 75 % first removes the oldest messages of
 * INBOX until it is at 70 % with the new one counted, but none that came into INBOX within the last 24 hours; what still
 * does not fit under the limit is over quota, and then nothing is removed for it. One delivery removes about 200 at
 * most unless it needs more to fit; the next ones go on.
 */
export const QUOTA_TRIM_ABOVE = 0.75;
export const QUOTA_TRIM_TO = 0.7;
export const QUOTA_TRIM_SPARES = 24 * 3600 * 1000;
