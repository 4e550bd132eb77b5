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

declare const brand: unique symbol;
/** Opaque; another store's look different. */
export type AccountId = string & { readonly [brand]: 'account' };
export type MailboxId = string & { readonly [brand]: 'mailbox' };

/** The database, its disk or its network does not answer: SMTP says 4xx, IMAP says BYE (promise 4 of the design). */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}

/** Every local delivery of a plan would exceed its account's quota; nothing was kept. */
export class OverQuota extends Error {
  override name = 'OverQuota';
}

export interface Store extends AsyncDisposable {
  readonly accounts: Accounts;
  readonly mailboxes: Mailboxes;
  readonly messages: Messages;
  readonly tokens: DeviceTokens;
  readonly pushJobs: PushJobs;
  readonly values: Values;

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
}

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
  | { readonly kind: 'push' };

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
  /** Fences a claim: `settle` with an old one does nothing. */
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
}

// ---- moving ------------------------------------------------------------------------------------------------------

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
  values(): Promise<ReadonlyMap<string, string>>;
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
  putValues(values: ReadonlyMap<string, string>): Promise<void>;
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
