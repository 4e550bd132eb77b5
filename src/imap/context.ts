import type { SecureContext } from 'node:tls';
import type { Login } from '../accounts/login.ts';
import type { Clock, Random } from '../clock.ts';
import type { ByteBudget } from '../limits/byte-budget.ts';
import type { Changes } from '../notify/changes.ts';
import type { Events } from '../observe/events.ts';
import type { Account, Mailbox, Store } from '../store/contract.ts';
import type { Connection } from './connection.ts';
import type { FetchPool } from './fetch-parts.ts';
import type { Selected } from './selected.ts';
import type { Piece } from './wire/response.ts';

/** What the relay's operator decides about IMAP. */
export interface ImapOptions {
  /** Octets of one APPEND (max_message_size). */
  readonly maxMessageSize: number;
  /** Offer COMPRESS=DEFLATE (imap_compress). Off upstream: it takes 250 KB a connection (wildduck.md 4.3). */
  readonly compress: boolean;
  /** RFC 5464 `/shared/admin`, such as `mailto:admin@example.org`; absent where nobody is named. */
  readonly adminUri?: string;
  /** `/shared/vendor/deltachat/irohrelay`: the URL of an iroh relay. */
  readonly irohRelay?: () => string | undefined;
}

/** What every session is built from. */
export interface SessionParts {
  /** For our log. */
  readonly service: 'imap' | 'imaps';
  readonly store: Store;
  readonly login: Login;
  readonly changes: Pick<Changes, 'subscribe'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly byteBudget: ByteBudget;
  readonly pool: FetchPool;
  readonly events: Events;
  /** The certificate of this moment. */
  readonly secureContext: () => SecureContext;
  readonly options: ImapOptions;
}

/** A session as its commands see and change it. */
export interface Context {
  /** Names the session in our log, and its own changes in the store. */
  readonly id: string;
  /** The network address of the client; never logged. */
  readonly peer: string;
  readonly parts: SessionParts;
  readonly connection: Connection;
  /** Set by `signIn`. */
  readonly account: Account | undefined;
  /** Set by `open`, unset by `unselect`. */
  readonly selected: Selected | undefined;
  /** RFC 7162 3.1: once on, MODSEQ stands in every FETCH with flags; never off again. */
  condstore: boolean;
  compression: 'off' | 'offered' | 'active';
  /** IDLE runs: what others change is told at once. */
  idling: boolean;
  /** Half a response is written: nothing else may be, not even BYE. */
  partial: boolean;
  /** Logins refused on this connection. */
  failedLogins: number;

  readonly capabilities: () => readonly string[];
  /** Shorthand for `connection.out.write`. */
  write(...pieces: readonly Piece[]): void;
  /** The client is `account` from now on. Throws TooManyListeners. */
  signIn(account: Account): void;
  /** Selects; false where the mailbox is gone. What changes meanwhile is neither missed nor told twice. */
  open(mailbox: Mailbox, readOnly: boolean): Promise<Opened | undefined>;
  unselect(): void;
  /** Writes what others changed. */
  tell(what: { readonly expunges: boolean; readonly flags: boolean }): void;
  /** Says BYE and closes. */
  bye(text: string, code?: string): void;
}

/** What SELECT says of a mailbox. */
export interface Opened {
  readonly selected: Selected;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModseq: number;
  readonly firstUnseen: number | undefined;
}

/** The tagged line that ends a command. */
export interface Reply {
  readonly status: 'OK' | 'NO' | 'BAD';
  readonly text: string;
  /** Response code, without brackets. */
  readonly code?: string;
  /** Done when the line is written, before the next command is read: STARTTLS, COMPRESS, LOGOUT. */
  readonly after?: () => void | Promise<void>;
}

export function ok(text: string, code?: string): Reply {
  return code === undefined ? { status: 'OK', text } : { status: 'OK', text, code };
}

export function no(text: string, code?: string): Reply {
  return code === undefined ? { status: 'NO', text } : { status: 'NO', text, code };
}

export function bad(text: string): Reply {
  return { status: 'BAD', text };
}

/** For commands that the dispatcher runs after login alone. */
export function accountOf(context: Context): Account {
  if (!context.account) throw new Error('ran before login');
  return context.account;
}

/** For commands that the dispatcher runs in a selected mailbox alone. */
export function selectedOf(context: Context): Selected {
  if (!context.selected) throw new Error('ran without a mailbox');
  return context.selected;
}
