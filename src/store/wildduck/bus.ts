import { minute, second } from '../../clock.ts';
import type { Clock, Timer } from '../../clock.ts';
import type { AccountId, Change, MailboxId, OnChange, Snapshot } from '../contract.ts';
import { createFollowedMailbox } from './followed-mailbox.ts';
import type { CatchUp, FollowedMailbox, MailboxChange, Position } from './followed-mailbox.ts';

/** What of a Redis client is needed to say something: it must fail, not queue, while there is no connection. */
export interface Publisher {
  publish(channel: string, message: string): Promise<unknown>;
}

/** A Redis connection for listening alone. It connects again by itself and says `ready` each time. */
export interface Subscriber {
  readonly status: string;
  on(event: 'ready' | 'close', listener: () => void): unknown;
  on(event: 'message', listener: (channel: string, message: string) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  subscribe(...channels: string[]): Promise<unknown>;
  /** Rejects where the server does not answer in time. */
  ping(): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
}

export interface BusParts {
  readonly publisher: Publisher;
  readonly subscriber: Subscriber;
  /** The channel of this cluster's Teal processes. */
  readonly channel: string;
  /** Names this process among them. */
  readonly process: string;
  readonly clock: Clock;
  readonly onChange: OnChange;
  readonly onFault: (where: string, error: Error) => void;
  readonly changesSince: (position: Position) => Promise<CatchUp | undefined>;
  /** Whose mailbox it is; undefined where it is gone. */
  readonly accountOf: (mailbox: MailboxId) => Promise<AccountId | undefined>;
  /** The highest modseq of each of these mailboxes that is there; at most `MAILBOXES_AT_ONCE` are asked at once. */
  readonly highestModseqs: (mailboxes: readonly MailboxId[]) => Promise<ReadonlyMap<MailboxId, number>>;
  /** Other channels to listen to, and who hears what comes from there. */
  readonly others?: ReadonlyMap<string, (message: string) => void>;
  /** Told of the accounts of which `tell` told something, each time. */
  readonly alsoTell?: (accounts: ReadonlySet<AccountId>) => void;
}

/**
 * What becomes visible, told to this process and to the others. Of a mailbox that somebody here looks at, each change
 * once and in the order of modseq: what Redis lost or has not brought yet is read from the database.
 */
export interface Bus extends AsyncDisposable {
  /**
   * Tells of changes that are durable and visible, here before it resolves (in the same turn, where nothing is missing
   * before them), to others as soon as Redis brings it. Never rejects.
   */
  tell(changes: readonly Change[]): Promise<void>;
  /** Reads a mailbox for a session that will listen: no change after what was read gets lost. */
  follow(mailbox: MailboxId, read: () => Promise<Snapshot | undefined>): Promise<Snapshot | undefined>;
  /** Somebody else than Teal changed something of the account: what is followed of it is looked at. */
  look(account: AccountId): Promise<void>;
  /** Looks at all that is followed. */
  lookAtAll(): Promise<void>;
  /** Resolves when it hears the others for the first time. */
  readonly ready: Promise<void>;
  /** Whether other processes hear us and we them. */
  readonly connected: boolean;
  /** Mailboxes followed now. */
  readonly following: number;
}

/** Mailboxes followed: those of the sessions of a process, 300 bytes each. Of more, the longest untouched is left. */
export const MAX_FOLLOWED = 50_000;
export const MAILBOXES_AT_ONCE = 500;
/** A message that is longer only says where to look: a STORE of ten thousand flags is read from the database. */
const MAX_MESSAGE = 16 * 1024;
/** Mailboxes whose news could not be published; of more, the first are found at the next look at all. */
const MAX_UNTOLD = 10_000;
/** What two processes did at once may come in the wrong order by about the time of a message. */
const MOMENT = 50;
/** A net below Redis: what no message told of is found by this. */
const LOOK_EVERY = minute;
/** A connection that is dead without having been closed says nothing: an answer shows that it lives. */
const PING_EVERY = 2 * second;

/** What goes over the channel. */
interface Message {
  readonly from: string;
  readonly change?: Change;
  readonly look?: { readonly mailbox: MailboxId; readonly modseq: number };
}

export function createBus(parts: BusParts): Bus {
  const { publisher, subscriber, channel, clock, onFault } = parts;
  /** The longest untouched first. */
  const followed = new Map<MailboxId, FollowedMailbox>();
  /** Changes of mailboxes that are being read for the first time, and what they wait for. */
  const opening = new Map<MailboxId, Promise<unknown>>();
  const unpublished = new Map<MailboxId, number>();
  let connected = false;
  const ready = Promise.withResolvers<void>();
  let ended = false;
  let lookTimer: Timer | undefined;
  let pingTimer: Timer | undefined;

  const fault = (error: unknown) =>
    onFault('store bus', error instanceof Error ? error : new Error(String(error)));

  const tellHere = (change: Change) => {
    try {
      parts.onChange(change);
    } catch (error) {
      onFault('store change', error instanceof Error ? error : new Error(String(error)));
    }
  };

  // ---- in this process ---------------------------------------------------------------------------------------------

  const take = (change: Change, own: boolean): Promise<void> | undefined => {
    if ('modseq' in change) return takeMailboxChange(change, own);
    if (change.kind === 'mailbox-removed') followed.delete(change.mailbox);
    if (change.kind === 'account-removed') {
      for (const [mailbox, { account }] of followed) if (account === change.account) followed.delete(mailbox);
    }
    tellHere(change);
    return undefined;
  };

  const takeMailboxChange = (change: MailboxChange, own: boolean): Promise<void> | undefined => {
    const first = opening.get(change.mailbox);
    if (first) return first.then(() => takeMailboxChange(change, own));
    const mailbox = followed.get(change.mailbox);
    if (mailbox) return mailbox.take(change, own);
    tellHere(change);
    return undefined;
  };

  const touch = (id: MailboxId, mailbox: FollowedMailbox) => {
    followed.delete(id);
    followed.set(id, mailbox);
    const [oldest] = followed.keys();
    if (followed.size > MAX_FOLLOWED && oldest !== undefined) followed.delete(oldest);
  };

  const begin = (id: MailboxId, account: AccountId, snapshot: Snapshot) => {
    const mailbox = createFollowedMailbox({
      account,
      mailbox: id,
      highestModseq: snapshot.highestModseq,
      uidNext: snapshot.uidNext,
      tell: tellHere,
      catchUp: async (position) => {
        const read = await parts.changesSince(position);
        if (read === undefined && followed.get(id) === mailbox) {
          void take({ kind: 'mailbox-removed', account, mailbox: id }, false);
        }
        return read;
      },
      afterMoment: (task) => clock.after(MOMENT, task),
      onFault: fault,
    });
    touch(id, mailbox);
  };

  const follow: Bus['follow'] = async (id, read) => {
    for (let first = opening.get(id); first; first = opening.get(id)) await first;
    const known = followed.get(id);
    if (known) {
      touch(id, known);
      return read();
    }
    const first = read();
    const done = Promise.all([first, parts.accountOf(id)]).then(
      ([snapshot, account]) => {
        opening.delete(id);
        if (snapshot && account !== undefined) begin(id, account, snapshot);
      },
      () => opening.delete(id),
    );
    opening.set(id, done);
    await done;
    return first;
  };

  const lookAtAll = async (): Promise<void> => {
    const all = [...followed.keys()];
    for (let start = 0; start < all.length && !ended; start += MAILBOXES_AT_ONCE) {
      const ids = all.slice(start, start + MAILBOXES_AT_ONCE);
      const now = await parts.highestModseqs(ids);
      const behind = ids
        .map((id) => ({ mailbox: followed.get(id), modseq: now.get(id) ?? Infinity }))
        .filter(({ mailbox, modseq }) => mailbox && modseq > mailbox.told);
      await Promise.all(behind.map(async ({ mailbox }) => mailbox?.look()));
    }
  };

  const pingNowAndThen = () => {
    pingTimer = clock.after(PING_EVERY, () => {
      if (!connected) return pingNowAndThen();
      subscriber
        .ping()
        .catch(() => {
          connected = false;
          subscriber.disconnect(true);
        })
        .finally(() => {
          if (!ended) pingNowAndThen();
        });
    });
  };

  const lookNowAndThen = () => {
    lookTimer = clock.after(LOOK_EVERY, () => {
      lookAtAll()
        .catch(fault)
        .finally(() => {
          if (!ended) lookNowAndThen();
        });
    });
  };

  // ---- to and from the others --------------------------------------------------------------------------------------

  const publish = (message: Omit<Message, 'from'>) =>
    publisher.publish(channel, JSON.stringify({ from: parts.process, ...message } satisfies Message));

  const tellOthers = (change: Change) => {
    // Every process looks for work by itself; this one does now.
    if (isWork(change)) return;
    const text = JSON.stringify({ from: parts.process, change } satisfies Message);
    const published =
      text.length > MAX_MESSAGE && 'modseq' in change
        ? publish({ look: { mailbox: change.mailbox, modseq: change.modseq } })
        : publisher.publish(channel, text);
    published.catch(() => {
      if (!('modseq' in change) || unpublished.size >= MAX_UNTOLD) return;
      unpublished.set(change.mailbox, change.modseq);
    });
  };

  const publishLate = () => {
    const late = [...unpublished];
    unpublished.clear();
    for (const [mailbox, modseq] of late) {
      publish({ look: { mailbox, modseq } }).catch(() => unpublished.set(mailbox, modseq));
    }
  };

  const hear = (text: string) => {
    const { from, change, look } = JSON.parse(text) as Message;
    if (from === parts.process) return;
    if (change) take(change, false)?.catch(fault);
    const mailbox = look && followed.get(look.mailbox);
    if (mailbox && look.modseq > mailbox.told) mailbox.look(look.modseq).catch(fault);
  };

  subscriber.on('message', (name, text) => {
    try {
      if (name === channel) hear(text);
      else parts.others?.get(name)?.(text);
    } catch (error) {
      fault(error);
    }
  });
  subscriber.on('error', () => {
    // `close` comes after it.
  });
  subscriber.on('close', () => (connected = false));
  const connect = () => {
    subscriber.subscribe(channel, ...(parts.others?.keys() ?? [])).then(
      () => {
        connected = true;
        ready.resolve();
        publishLate();
        // What came while nobody listened.
        lookAtAll().catch(fault);
      },
      (error: unknown) => {
        if (!ended) fault(error);
      },
    );
  };
  subscriber.on('ready', connect);
  if (subscriber.status === 'ready') connect();
  lookNowAndThen();
  pingNowAndThen();

  return {
    tell(changes) {
      const work = changes.filter(isWork);
      const late: Promise<void>[] = [];
      const accounts = new Set<AccountId>();
      for (const change of changes) {
        if (isWork(change)) continue;
        accounts.add(change.account);
        const told = take(change, true);
        if (told) late.push(told);
        tellOthers(change);
      }
      parts.alsoTell?.(accounts);
      // A push job is told after what it is about.
      if (late.length === 0) {
        work.forEach(tellHere);
        return Promise.resolve();
      }
      return Promise.all(late).then(() => work.forEach(tellHere));
    },
    follow,
    async look(account) {
      const mine = [...followed.values()].filter((mailbox) => mailbox.account === account);
      await Promise.all(mine.map((mailbox) => mailbox.look()));
    },
    lookAtAll,
    ready: ready.promise,
    get connected() {
      return connected;
    },
    get following() {
      return followed.size;
    },
    async [Symbol.asyncDispose]() {
      ended = true;
      lookTimer?.[Symbol.dispose]();
      pingTimer?.[Symbol.dispose]();
      subscriber.disconnect();
    },
  };
}

/** Something that is due now, for whoever comes first: not about any account. */
function isWork(change: Change): change is Extract<Change, { kind: 'push' | 'queue' }> {
  return change.kind === 'push' || change.kind === 'queue';
}
