import { Worker } from 'node:worker_threads';
import { StoreUnavailable } from '../contract.ts';
import type { Change, Store, StoreOptions } from '../contract.ts';
import type { Access } from './access.ts';
import { createAccounts, sweep } from './accounts.ts';
import { createBodyFiles } from './body-files.ts';
import type { BodyFiles } from './body-files.ts';
import { BUSY_TIMEOUT, openForReading, reading } from './database.ts';
import { pathsOf, takeDirectory } from './directory.ts';
import { createMailboxes } from './mailboxes.ts';
import { createAccept, createMessages } from './messages.ts';
import type { During } from './messages.ts';
import type { ReadResult, WriteResult } from './operations.ts';
import type { ReadCall, ThreadData, WriteCall } from './protocol.ts';
import { createPushJobs, createTokens } from './push-jobs.ts';
import { createQueue } from './queue.ts';
import { value, valuesWith } from './reads/accounts.ts';
import { createSignUpTokens } from './sign-up-tokens.ts';
import { createThread } from './thread.ts';

export interface SqliteOptions extends StoreOptions {
  /** Made if it is missing; everything of the store is in it. */
  readonly dataDir: string;
  /** What went wrong that no caller waits for; the store goes on. Without it such faults are not told. */
  readonly onFault?: (where: string, error: Error) => void;
  /** How long a write waits for another process that holds the database, in ms; 5000 unless given. */
  readonly busyTimeout?: number;
  /** Starts a thread of the store: for tests that need to end one. */
  readonly spawn?: (entry: URL, data: ThreadData) => Worker;
}

/** Bytes of message under way to the writer; above that StoreUnavailable is said at once. The writer does 100 MB/s. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** Names of body files that one look for orphans asks about. */
const SWEEP_SLICE = 200;

/**
 * Opens the SQLite store of a data directory, which this process has for itself until it is disposed of. Rejects, with
 * a text for the operator, where another process has it or a newer Teal wrote it.
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const { onChange, quota, onFault = () => {}, busyTimeout = BUSY_TIMEOUT, spawn = spawnThread } = options;
  const paths = pathsOf(options.dataDir);
  const { database: path, bodies } = paths;

  await using opening = new AsyncDisposableStack();
  opening.use(await takeDirectory(paths));

  const files = createBodyFiles(bodies, onFault);
  const leftovers = await files.list();
  const data: ThreadData = { path, bodies, quota, busyTimeout };
  const tell = (changes: readonly Change[]) => {
    for (const change of changes) {
      try {
        onChange(change);
      } catch (error) {
        onFault('store change', error instanceof Error ? error : new Error(String(error)));
      }
    }
  };
  const thread = <Call>(entry: string) =>
    createThread<Call>({
      spawn: () => spawn(new URL(entry, import.meta.url), data),
      maxPendingBytes: MAX_PENDING_BYTES,
      onChanges: tell,
      onFault,
    });

  let localOpen = true;
  // Named with the extension of this file, so that it is found in a build too.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const writer = thread<WriteCall>(`./writer.${extension}`);
  opening.use(writer);
  await writer.ready.catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the database ${path} cannot be used: ${why}`, { cause });
  });
  const reader = thread<ReadCall>(`./reader.${extension}`);
  opening.use(reader);
  await reader.ready;
  const local = openForReading(path, busyTimeout);
  opening.defer(() => {
    localOpen = false;
    local[Symbol.dispose]();
  });

  const access: Access = {
    write: async (name, argument, bytes = 0, transfer = []) =>
      (await writer.ask({ name, argument, bytes }, bytes, transfer)) as WriteResult<typeof name>,
    read: async (name, ...rest) =>
      (await reader.ask({ name, arguments: rest }, 0)) as ReadResult<typeof name>,
    local: async (read) => {
      if (!localOpen) throw new StoreUnavailable('the store is closed');
      return reading(() => read(local));
    },
  };
  const { during, finish } = createGate();

  await removeOrphans(access, files, leftovers);
  await access.write('freeClaims', undefined);
  // What a crash left of removed mailboxes may be much: that goes on beside the first requests.
  const sweeping = sweep(access).catch((error: unknown) => {
    if (!(error instanceof StoreUnavailable)) onFault('store start', error as Error);
  });

  const parts = opening.move();
  let closed: Promise<void> | undefined;
  return {
    accounts: createAccounts(access, quota),
    mailboxes: createMailboxes(access),
    messages: createMessages(access, files, during),
    tokens: createTokens(access),
    pushJobs: createPushJobs(access),
    queue: createQueue(access, files),
    values: {
      get: (key) => access.local((database) => value(database, key)),
      set: (key, text) => access.write('setValue', { key, value: text }),
      setOnce: (key, text) => access.write('setValueOnce', { key, value: text }),
      setIf: (key, was, text) => access.write('setValueIf', { key, was, value: text }),
      removeIf: (key, was) => access.write('removeValueIf', { key, value: was }),
      list: (prefix) => access.local((database) => valuesWith(database, prefix)),
    },
    signUpTokens: createSignUpTokens(access),
    accept: createAccept(access, files, during),
    ping: async () => {
      await access.local((database) => database.get('SELECT 1'));
      await access.write('ping', undefined);
    },
    [Symbol.asyncDispose]: () =>
      (closed ??= (async () => {
        await finish();
        await parts.disposeAsync();
        await sweeping;
      })()),
  };
}

function spawnThread(entry: URL, data: ThreadData): Worker {
  // Not the flags of the process: some (--input-type) keep a thread from starting.
  return new Worker(entry, { workerData: data, execArgv: [] });
}

/** Lets work in until `finish`, which waits for what is under way. */
function createGate(): { during: During; finish: () => Promise<void> } {
  const underWay = new Set<Promise<unknown>>();
  let closing = false;
  return {
    during: async (work) => {
      if (closing) throw new StoreUnavailable('the store is closed');
      const promise = work();
      underWay.add(promise);
      try {
        return await promise;
      } finally {
        underWay.delete(promise);
      }
    },
    finish: async () => {
      closing = true;
      await Promise.allSettled(underWay);
    },
  };
}

/**
 * Removes the files of `leftovers` that no row names: a crash came between a file and its row, or between the removal
 * of a row and of its file. The list was made before anything could be written, and nobody else has the directory:
 * such a file is nobody's. A look at 200 names is a millisecond.
 */
async function removeOrphans(access: Access, files: BodyFiles, leftovers: readonly string[]): Promise<void> {
  for (let start = 0; start < leftovers.length; start += SWEEP_SLICE) {
    const names = leftovers.slice(start, start + SWEEP_SLICE);
    const known = new Set(await access.read('knownFiles', names));
    for (const name of names) if (!known.has(name)) await files.discard(name);
  }
}
