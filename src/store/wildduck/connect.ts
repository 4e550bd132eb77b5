import { createRequire } from 'node:module';
import type { Redis, RedisOptions } from 'ioredis';
import { MongoClient } from 'mongodb';
import type { Collection, CommandStartedEvent, Db, ObjectId } from 'mongodb';
import { asUnavailable } from './availability.ts';
import type {
  ChunkDocument,
  CounterDocument,
  DoomedDocument,
  FileDocument,
  JournalDocument,
  MailboxDocument,
  MessageDocument,
  PlanDocument,
  QueueDestinationDocument,
  QueueRowDocument,
  UserDocument,
} from './documents.ts';
import { createIndexes } from './indexes.ts';
import type { PushDocument } from './push-jobs.ts';
import type { SignUpTokenDocument } from './sign-up-tokens.ts';
import type { TokensDocument } from './tokens.ts';
import type { ValueDocument } from './values.ts';

export interface ConnectOptions {
  /** As the driver takes it; the database named in it is used unless `database` names one. */
  readonly mongodbUrl: string;
  readonly redisUrl: string;
  readonly database?: string;
  readonly onFault: (where: string, error: Error) => void;
  /** The database is only to be read: no index is made. */
  readonly readOnly?: boolean;
  /** Told of each command that goes to the database: for tests that count. */
  readonly onCommand?: (event: CommandStartedEvent) => void;
}

/** What the store keeps, by the names that the code uses. */
export interface Collections {
  readonly users: Collection<UserDocument>;
  readonly mailboxes: Collection<MailboxDocument>;
  readonly messages: Collection<MessageDocument>;
  readonly journal: Collection<JournalDocument>;
  readonly files: Collection<FileDocument>;
  readonly chunks: Collection<ChunkDocument>;
  readonly addresses: Collection<{ readonly user: ObjectId }>;
  /** Teal writes none; WildDuck's programs do. */
  readonly threads: Collection<{ readonly user: ObjectId }>;
  readonly plans: Collection<PlanDocument>;
  readonly queue: Collection<QueueRowDocument>;
  readonly queueDestinations: Collection<QueueDestinationDocument>;
  readonly doomed: Collection<DoomedDocument>;
  readonly counters: Collection<CounterDocument>;
  readonly tokens: Collection<TokensDocument>;
  readonly push: Collection<PushDocument>;
  readonly values: Collection<ValueDocument>;
  readonly signUpTokens: Collection<SignUpTokenDocument>;
}

export interface Connection extends AsyncDisposable {
  readonly mongo: Db;
  readonly collections: Collections;
  /** For commands. Its errors are told through `onFault`; commands fail at once while it is away. */
  readonly redis: Redis;
  /** One more connection to Redis, as a subscriber needs: the caller ends it. */
  openRedis(options?: RedisOptions): Redis;
}

/** How long the database may be looked for before a request is told that it is away. */
const SELECTION_TIMEOUT = 4000;
/** How often the driver asks each server whether it lives; without an answer its connections end, and who waits on them hears. */
const HEARTBEAT = 2000;
/** How long one command may take: a slow disk, a big message; far beyond any in health. */
const SOCKET_TIMEOUT = 20_000;
/** Connections of one process: the commands it has under way at once. */
const POOL = 40;

const wildduckRequire = () => createRequire(createRequire(import.meta.url).resolve('wildduck/package.json'));

/** Connects, and makes the collections' indexes. Rejects where the database does not answer; Redis may come later. */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const client = new MongoClient(options.mongodbUrl, {
    serverSelectionTimeoutMS: SELECTION_TIMEOUT,
    heartbeatFrequencyMS: HEARTBEAT,
    connectTimeoutMS: SELECTION_TIMEOUT,
    waitQueueTimeoutMS: SELECTION_TIMEOUT,
    socketTimeoutMS: SOCKET_TIMEOUT,
    maxPoolSize: POOL,
    // Promise 1 of the contract: what is acknowledged outlives the loss of a server.
    writeConcern: { w: 'majority', j: true },
    readConcern: { level: 'majority' },
    monitorCommands: options.onCommand !== undefined,
  });
  if (options.onCommand) client.on('commandStarted', options.onCommand);
  try {
    await client.connect();
    const mongo = client.db(options.database);
    const collections = collectionsOf(mongo);
    if (!options.readOnly) await createIndexes(mongo, collections);
    const openRedis = (more: RedisOptions = {}) => redisOf(options, more);
    const redis = openRedis({ enableOfflineQueue: false });
    return {
      mongo,
      collections,
      redis,
      openRedis,
      [Symbol.asyncDispose]: async () => {
        redis.disconnect();
        await client.close();
      },
    };
  } catch (error) {
    await client.close().catch(() => {});
    throw error;
  }
}

function collectionsOf(mongo: Db): Collections {
  return {
    users: mongo.collection('users'),
    mailboxes: mongo.collection('mailboxes'),
    messages: mongo.collection('messages'),
    journal: mongo.collection('journal'),
    files: mongo.collection('attachments.files'),
    chunks: mongo.collection('attachments.chunks'),
    addresses: mongo.collection('addresses'),
    threads: mongo.collection('threads'),
    plans: mongo.collection('teal.plans'),
    queue: mongo.collection('teal.queue'),
    queueDestinations: mongo.collection('teal.queue.destinations'),
    doomed: mongo.collection('teal.doomed'),
    counters: mongo.collection('teal.counters'),
    tokens: mongo.collection('teal.tokens'),
    push: mongo.collection('teal.push'),
    values: mongo.collection('teal.values'),
    signUpTokens: mongo.collection('teal.sign-up-tokens'),
  };
}

/** The client that WildDuck itself uses, so that its handlers can be given ours. */
function redisOf({ redisUrl, onFault }: ConnectOptions, more: RedisOptions): Redis {
  // createRequire answers with `any`; this is the class whose type ioredis declares.
  const { Redis: Client } = wildduckRequire()('ioredis') as {
    Redis: new (url: string, options: RedisOptions) => Redis;
  };
  const redis = new Client(redisUrl, {
    maxRetriesPerRequest: 1,
    connectTimeout: SELECTION_TIMEOUT,
    // A server that stalls would otherwise never answer.
    commandTimeout: SELECTION_TIMEOUT,
    // One that is away is tried again soon, for as long as it takes.
    retryStrategy: (times) => Math.min(100 * times, 1000),
    ...more,
  });
  let away = false;
  let ended = false;
  // What breaks off because it was ended is no fault: it may still have been connecting.
  const disconnect = redis.disconnect.bind(redis);
  redis.disconnect = (reconnect = false) => {
    ended ||= !reconnect;
    disconnect(reconnect);
  };
  redis.on('ready', () => {
    away = false;
  });
  redis.on('error', (error) => {
    // Once for each time it goes away: it is tried again every few moments.
    if (!away && !ended) onFault('redis', error);
    away = true;
  });
  return redis;
}

/** Errors of the database as the contract names them: all may pass, but for a key that is there already. */
export async function wrap<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asUnavailable(error);
  }
}
