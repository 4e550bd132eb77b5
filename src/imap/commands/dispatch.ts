import type { Context, Reply } from '../context.ts';
import { bad, ok } from '../context.ts';
import type { Command } from '../wire/command.ts';
import { append } from './append.ts';
import { capability } from './capability.ts';
import { close, unselect } from './close.ts';
import { compress } from './compress.ts';
import { copy } from './copy.ts';
import { enable } from './enable.ts';
import { expunge } from './expunge.ts';
import { fetch } from './fetch.ts';
import { id } from './id.ts';
import { idle } from './idle.ts';
import { list, lsub } from './list.ts';
import { authenticate, login } from './login.ts';
import { logout } from './logout.ts';
import { create, remove, rename, subscribe } from './mailboxes.ts';
import { getMetadata, setMetadata } from './metadata.ts';
import { namespace } from './namespace.ts';
import { getQuota, getQuotaRoot, setQuota } from './quota.ts';
import { search } from './search.ts';
import { select } from './select.ts';
import { startTls } from './starttls.ts';
import { status } from './status.ts';
import { store } from './store.ts';

type Name = Command['name'];

/** RFC 9051 3 and 6: in which state a command may come. `clear`: even without TLS. */
type State = 'clear' | 'before-login' | 'after-login' | 'selected';

const states: Readonly<Record<Name, State>> = {
  CAPABILITY: 'clear',
  NOOP: 'clear',
  LOGOUT: 'clear',
  ID: 'clear',
  STARTTLS: 'before-login',
  LOGIN: 'before-login',
  AUTHENTICATE: 'before-login',
  NAMESPACE: 'after-login',
  IDLE: 'after-login',
  ENABLE: 'after-login',
  COMPRESS: 'after-login',
  SELECT: 'after-login',
  EXAMINE: 'after-login',
  CREATE: 'after-login',
  DELETE: 'after-login',
  RENAME: 'after-login',
  SUBSCRIBE: 'after-login',
  UNSUBSCRIBE: 'after-login',
  STATUS: 'after-login',
  LIST: 'after-login',
  LSUB: 'after-login',
  APPEND: 'after-login',
  GETQUOTA: 'after-login',
  GETQUOTAROOT: 'after-login',
  SETQUOTA: 'after-login',
  GETMETADATA: 'after-login',
  SETMETADATA: 'after-login',
  CHECK: 'selected',
  CLOSE: 'selected',
  UNSELECT: 'selected',
  EXPUNGE: 'selected',
  SEARCH: 'selected',
  FETCH: 'selected',
  STORE: 'selected',
  COPY: 'selected',
  MOVE: 'selected',
};

/** Why the command may not come now; undefined where it may. */
export function misplaced(name: Name, context: Context): Reply | undefined {
  switch (states[name]) {
    case 'clear':
      return undefined;
    case 'before-login':
      return context.account ? bad('Already logged in') : undefined;
    case 'after-login':
      return context.account ? undefined : bad('Log in first');
    case 'selected':
      return context.selected ? undefined : bad(context.account ? 'Select a mailbox first' : 'Log in first');
  }
}

/** What others changed and may be told before the tagged line of this command. */
export function noticesAfter(
  command: Command,
): { readonly expunges: boolean; readonly flags: boolean } | 'none' {
  switch (command.name) {
    // Their EXISTS is the answer's own (select.ts); the rest leave the mailbox or the session.
    case 'SELECT':
    case 'EXAMINE':
    case 'CLOSE':
    case 'UNSELECT':
    case 'LOGOUT':
      return 'none';
    // RFC 9051 7.5.1: message numbers must stand still while these run; their UID forms are other commands. Delta Chat
    // takes any FETCH with flags for a message it asked for, so others' flags wait (core src/imap.rs, fetch_many_msgs).
    case 'FETCH':
      return { expunges: command.uid, flags: false };
    case 'STORE':
    case 'SEARCH':
      return { expunges: command.uid, flags: true };
    default:
      return { expunges: true, flags: true };
  }
}

/** Runs a command that is not misplaced. Rejects with StoreUnavailable, ConnectionGone, or a fault of ours. */
export async function dispatch(command: Command, context: Context): Promise<Reply> {
  switch (command.name) {
    case 'CAPABILITY':
      return capability(context);
    case 'NOOP':
    case 'CHECK':
      return ok(`${command.name} completed`);
    case 'LOGOUT':
      return logout(context);
    case 'ID':
      return id(context);
    case 'STARTTLS':
      return startTls(context);
    case 'LOGIN':
      return login(command.username, command.password, context);
    case 'AUTHENTICATE':
      return authenticate(command.mechanism, command.initial, context);
    case 'NAMESPACE':
      return namespace(context);
    case 'IDLE':
      return idle(context);
    case 'ENABLE':
      return enable(command.capabilities, context);
    case 'COMPRESS':
      return compress(command.mechanism, context);
    case 'SELECT':
      return select(command, false, context);
    case 'EXAMINE':
      return select(command, true, context);
    case 'CREATE':
      return create(command.mailbox, context);
    case 'DELETE':
      return remove(command.mailbox, context);
    case 'RENAME':
      return rename(command.from, command.to, context);
    case 'SUBSCRIBE':
      return subscribe(command.mailbox, true, context);
    case 'UNSUBSCRIBE':
      return subscribe(command.mailbox, false, context);
    case 'STATUS':
      return status(command.mailbox, command.items, context);
    case 'LIST':
      return list(command, context);
    case 'LSUB':
      return lsub(command.reference, command.pattern, context);
    case 'APPEND':
      return append(command, context);
    case 'GETQUOTA':
      return getQuota(command.root, context);
    case 'GETQUOTAROOT':
      return getQuotaRoot(command.mailbox, context);
    case 'SETQUOTA':
      return setQuota();
    case 'GETMETADATA':
      return getMetadata(command, context);
    case 'SETMETADATA':
      return setMetadata(command, context);
    case 'CLOSE':
      return close(context);
    case 'UNSELECT':
      return unselect(context);
    case 'EXPUNGE':
      return expunge(command.set, context);
    case 'SEARCH':
      return search(command, context);
    case 'FETCH':
      return fetch(command, context);
    case 'STORE':
      return store(command, context);
    case 'COPY':
    case 'MOVE':
      return copy(command, context);
  }
}
