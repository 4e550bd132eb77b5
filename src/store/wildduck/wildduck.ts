import { createRequire } from 'node:module';
import type { Redis } from 'ioredis';
import { Binary, GridFSBucket, ObjectId } from 'mongodb';
import type { Db } from 'mongodb';
import { fieldsOf, parseHeader } from '../../message/header.ts';
import type { JournalDocument, MailboxDocument, MessageDocument } from './documents.ts';

/**
 * WildDuck's own handlers, in this process. They make the documents, so that these are what WildDuck's programs expect
 * in this version; where a handler would then write them with ten commands and no order, it is handed a database that
 * only takes note, and the store writes them itself.
 */
export interface Wildduck {
  /** Makes the user, its INBOX and its address. Answers undefined where the name is there already. */
  createUser(user: NewUser): Promise<ObjectId | undefined>;
  newMailbox(mailbox: { user: ObjectId; path: string; uidValidity: number }): Promise<MailboxDocument>;
  /** What all messages with these bytes have in common. */
  prepare(content: Content): Promise<Prepared>;
  newMessage(place: Place, prepared: Prepared): Promise<MessageDocument>;
  /** The bytes of a message that WildDuck parsed when it came, put together again. */
  rebuild(mimeTree: unknown): NodeJS.ReadableStream;
  /** Tells the counters that WildDuck's API keeps in Redis. Never rejects: they are made anew when they are missing. */
  count(entries: readonly JournalDocument[]): void;
}

export interface NewUser {
  readonly username: string;
  readonly passwordHash: string;
  readonly uidValidity: number;
  readonly quota: number;
}

/** A message's bytes as they are kept: head, then either rest or a file. */
export interface Content {
  readonly size: number;
  readonly headerSize: number;
  readonly magic: number;
  /** Missing where the header is too long: then all bytes are in the rest. */
  readonly head?: Buffer;
  readonly rest?: Buffer;
  readonly file?: ObjectId;
}

export interface Prepared {
  readonly content: Content;
  /** WildDuck's view of it: opaque here. */
  readonly view: Record<string, unknown> & { readonly mimeTree: Record<string, unknown> };
}

export interface Place {
  readonly id: ObjectId;
  readonly mailbox: MailboxDocument;
  readonly uid: number;
  readonly modseq: number;
  readonly flags: readonly string[];
  readonly internalDate: number;
  readonly saved: number;
}

/** The fields that WildDuck shows in lists and searches; at most one of each, and no long one. */
const SHOWN = ['from', 'to', 'cc', 'subject', 'date', 'message-id', 'in-reply-to'];
/** WildDuck's header parser is quadratic in places: it gets no more than this of a field. */
const SHOWN_BYTES = 1000;
/** The name by which WildDuck's tree points to a file. */
const ATTACHMENT = 'ATT00001';

/** The shape of what is used here of WildDuck's modules, which have no types. */
interface MessageHandler {
  prepareMessageAsync(options: object): Promise<Prepared['view']>;
  addAsync(options: object): Promise<unknown>;
  readonly indexer: { rebuild(mimeTree: unknown): { value: NodeJS.ReadableStream } };
  readonly notifier: { updateCounters(entries: readonly JournalDocument[]): Promise<void> };
}
interface UserHandler {
  create(user: object): Promise<ObjectId>;
}
interface MailboxHandler {
  createAsync(user: ObjectId, path: string, more: object): Promise<unknown>;
}
type Handler<T> = new (options: object) => T;

/** What WildDuck's modules read of its configuration; everything else is off. */
const CONFIG = {
  log: { gelf: { enabled: false } },
  dbs: {},
  imap: {},
  pop3: {},
  totp: {},
  webauthn: {},
  pwned: {},
  api: {},
  plugins: {},
  attachments: { type: 'gridstore', bucket: 'attachments', decodeBase64: false },
};

/** Loads WildDuck (a second, 100 MB) with its side effects off: no configuration files, no webhooks, no log of logins. */
export function loadWildduck(database: Db, redis: Redis): Wildduck {
  const load = loader();
  // It would write to stderr what Teal tells of Redis by itself.
  (load('lib/errors') as { setGelf(log: object): void }).setGelf({ emit() {} });
  const MessageHandlerClass = load('lib/message-handler') as Handler<MessageHandler>;
  const UserHandlerClass = load('lib/user-handler') as Handler<UserHandler>;
  const MailboxHandlerClass = load('lib/mailbox-handler') as Handler<MailboxHandler>;
  const parseMimeTree = load('imap-core/lib/indexer/parse-mime-tree') as (header: Buffer) => object;
  const { checkHashSupport } = load('lib/hashes') as {
    checkHashSupport: (hash: string) => { result: boolean };
  };
  const attachmentStorage = attachmentsOf(load, database);
  const shared = { database, users: database, gridfs: database, redis, attachmentStorage };
  const messages = new MessageHandlerClass(shared);
  const users = new UserHandlerClass(shared);
  const deaf = { addEntries: callLast, fire() {} };

  return {
    async createUser({ username, passwordHash, uidValidity, quota }) {
      const inbox = { path: 'INBOX', uidValidity, uidNext: 1, modifyIndex: 1, subscribed: true, flags: [] };
      const handler = overriding(users, {
        // Of its five mailboxes chatmail has one.
        getMailboxes: () => [{ ...inbox }],
        // It would keep who logged in, when and from where.
        logAuthEvent: async () => {},
      });
      // One that WildDuck cannot check is no password there; Teal sets it afterwards.
      const known = checkHashSupport(passwordHash).result;
      const password = known ? { password: passwordHash, hashedPassword: true } : {};
      try {
        return await handler.create({ username, address: username, quota, retention: 0, ...password });
      } catch (error) {
        const taken = ['UserExistsError', 'AddressExistsError'];
        if (error instanceof Error && 'code' in error && taken.includes(String(error.code))) return undefined;
        throw error;
      }
    },

    async newMailbox({ user, path, uidValidity }) {
      let made: MailboxDocument | undefined;
      const handler = new MailboxHandlerClass({
        redis,
        notifier: deaf,
        settingsHandler: { get: async () => Infinity },
        database: noting({
          users: { findOne: async () => ({ retention: 0 }) },
          mailboxes: {
            findOne: async () => null,
            countDocuments: async () => 0,
            insertOne: async (document: MailboxDocument) => void (made = document),
          },
        }),
      });
      // By another name: its own bounds on names are not IMAP's.
      await handler.createAsync(user, 'mailbox', { subscribed: false, uidValidity });
      if (!made) throw new Error('WildDuck has made no mailbox');
      return { ...made, path };
    },

    async prepare(content) {
      const mimeTree = {
        ...parseMimeTree(shownHeader(content.head ?? Buffer.alloc(0))),
        header: linesOf(content.head ?? Buffer.alloc(0)),
        body: content.rest ? new Binary(content.rest) : false,
        size: content.size - (content.head?.length ?? 0),
        // With more, WildDuck ends the message with a line end of its own.
        lineCount: 1,
        ...(content.file ? { attachmentId: ATTACHMENT } : {}),
      };
      const view = await messages.prepareMessageAsync({ mimeTree });
      return { content, view: { ...view, size: content.size, mimeTree } };
    },

    async newMessage(place, { content, view }) {
      let made: (MessageDocument & { mimeTree: object }) | undefined;
      const { mailbox } = place;
      const noted = noting({
        users: {
          findOne: async () => ({ _id: mailbox.user }),
          findOneAndUpdate: async () => ({ value: null }),
        },
        mailboxes: {
          findOneAndUpdate: async () => ({
            value: { ...mailbox, uidNext: place.uid, modifyIndex: place.modseq - 1 },
          }),
        },
        messages: {
          insertOne: async (document: typeof made) => {
            made = document;
            return { acknowledged: true };
          },
        },
        audits: { find: () => ({ toArray: async () => [] }) },
      });
      const handler = overriding(messages, {
        database: noted,
        users: noted,
        notifier: deaf,
        // Both would keep who writes to whom.
        updateAddressRegister: async () => {},
        getThreadIdAsync: async () => new ObjectId(),
      });
      await handler.addAsync({
        user: mailbox.user,
        mailbox,
        flags: [...place.flags],
        maildata: { nodes: [], attachments: [], text: '', html: [], magic: content.magic },
        prepared: {
          ...view,
          id: place.id,
          idate: new Date(place.internalDate),
          mimeTree: { ...view.mimeTree },
        },
      });
      if (!made) throw new Error('WildDuck has made no message');
      return {
        ...made,
        mimeTree: {
          ...made.mimeTree,
          attachmentMap: content.file ? { [ATTACHMENT]: content.file } : {},
        },
        teal: {
          headerSize: content.headerSize,
          saved: place.saved,
          ...(content.head ? { head: new Binary(content.head) } : {}),
          ...(content.file ? { file: content.file } : {}),
        },
      };
    },

    rebuild: (mimeTree) => messages.indexer.rebuild(mimeTree).value,

    count(entries) {
      messages.notifier.updateCounters(entries).catch(() => {});
    },
  };
}

function loader(): (path: string) => unknown {
  const load = createRequire(createRequire(import.meta.url).resolve('wildduck/package.json'));
  // WildDuck's own switch: it would read configuration files and the arguments of this process, and may end it.
  process.env['DISABLE_WILD_CONFIG'] = 'true';
  const config = load('@zone-eu/wild-config') as object;
  Object.assign(config, CONFIG);
  Object.defineProperty(config, 'on', { value: () => {}, configurable: true });
  // The handlers take it when they are loaded. Without this each event is one more entry of a queue that nobody empties.
  (load('./lib/events') as { publish: unknown }).publish = async () => {};
  return (path) => load(`./${path}`) as unknown;
}

/**
 * WildDuck's file store as far as reading takes it. Its constructors would open one more connection to Redis, for a
 * lock, which nobody ever ends.
 */
function attachmentsOf(load: (path: string) => unknown, database: Db): object {
  const Storage = load('lib/attachment-storage') as Handler<object>;
  const Gridstore = load('lib/attachments/gridstore-storage') as Handler<object>;
  const { bucket: bucketName } = CONFIG.attachments;
  const gridstore = new GridFSBucket(database, { bucketName });
  const storage = overriding(Gridstore.prototype as object, { bucketName, gridfs: database, gridstore });
  return overriding(Storage.prototype as object, { storage });
}

/** `handler` with some of its methods replaced, for one call. */
function overriding<T extends object>(handler: T, methods: object): T {
  return Object.assign(Object.create(handler) as T, methods);
}

/** A database of these collections, each with no more than these methods. */
function noting(collections: Readonly<Record<string, object>>) {
  return {
    collection: (name: string) => {
      const collection = collections[name];
      if (!collection) throw new Error(`WildDuck asks for the collection ${name}`);
      return collection;
    },
  };
}

/** Calls back at once: WildDuck's notifier with nobody to notify. */
function callLast(...given: unknown[]): void {
  const last = given.at(-1);
  // By its name in WildDuck: a callback.
  if (typeof last === 'function') (last as (error: null, done: true) => void)(null, true);
}

/** A small header with the fields that WildDuck shows. */
function shownHeader(head: Buffer): Buffer {
  const header = parseHeader(head);
  const lines = SHOWN.flatMap((key) => {
    const [field] = fieldsOf(header, key);
    return field ? [`${key}: ${field.value.slice(0, SHOWN_BYTES)}`] : [];
  });
  // One opaque part: whatever the message says of its parts is for clients to read.
  return Buffer.from([...lines, 'content-type: application/octet-stream', '', ''].join('\r\n'), 'latin1');
}

/** The header's lines as WildDuck keeps them: put together with CRLF they are the header. */
function linesOf(head: Buffer): string[] {
  const text = head.toString('latin1');
  return (text.endsWith('\r\n\r\n') ? text.slice(0, -4) : text).split('\r\n');
}
