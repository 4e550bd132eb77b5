import type { Worker } from 'node:worker_threads';
import { StoreUnavailable } from '../contract.ts';
import type { Change } from '../contract.ts';
import type { Report } from './protocol.ts';

/** A call whose outcome nobody knows: the thread died before it answered. */
export class ThreadLost extends StoreUnavailable {}

export interface ThreadParts {
  /** Starts the worker; called again when it has died. */
  readonly spawn: () => Worker;
  /** Bytes posted and not answered yet; more are turned away. */
  readonly maxPendingBytes: number;
  /** Changes of one transaction, told before any of its calls resolves. */
  readonly onChanges: (changes: readonly Change[]) => void;
  readonly onFault: (where: string, error: Error) => void;
}

/** One thread of the store, seen from the main one. */
export interface Thread<Call> extends AsyncDisposable {
  /** Resolves when the thread has opened the database; rejects with what it says if it cannot. */
  readonly ready: Promise<void>;
  /** Rejects with StoreUnavailable at once when too much is pending, or when the thread is down; never hangs on those. */
  ask(call: Call, bytes: number, transfer?: readonly ArrayBuffer[]): Promise<unknown>;
}

/** What a call counts beside its bytes: 64 MB are at most 64,000 small calls. */
const CALL_COST = 1024;
/** A thread that dies is started again at most once in so many ms. */
const RESPAWN_PAUSE = 1000;

interface Pending {
  readonly cost: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export function createThread<Call>({
  spawn,
  maxPendingBytes,
  onChanges,
  onFault,
}: ThreadParts): Thread<Call> {
  const pending = new Map<number, Pending>();
  const opened = Promise.withResolvers<void>();
  let worker: Worker | undefined;
  let up = false;
  let everUp = false;
  let nextId = 1;
  let pendingBytes = 0;
  let closing = false;
  let pausing = false;
  let pause: NodeJS.Timeout | undefined;
  const ended = Promise.withResolvers<void>();

  const take = (id: number): Pending | undefined => {
    const call = pending.get(id);
    if (!call) return undefined;
    pending.delete(id);
    pendingBytes -= call.cost;
    return call;
  };

  const hear = (report: Report) => {
    switch (report.kind) {
      case 'ready':
        up = everUp = true;
        opened.resolve();
        break;
      case 'failed':
        opened.reject(new Error(report.message));
        if (everUp) onFault('store thread', new Error(report.message));
        break;
      case 'fault':
        onFault(report.where, new Error(report.message));
        break;
      case 'answers':
        if (report.changes.length > 0) onChanges(report.changes);
        for (const answer of report.answers) {
          const call = take(answer.id);
          if (answer.kind === 'done') call?.resolve(answer.value);
          else if (answer.kind === 'unavailable') call?.reject(new StoreUnavailable(answer.message));
          else call?.reject(new Error(answer.message));
        }
        break;
    }
  };

  const start = () => {
    pausing = true;
    pause = setTimeout(() => {
      pausing = false;
      if (!worker && !closing && everUp) start();
    }, RESPAWN_PAUSE);
    pause.unref();
    const started = spawn();
    worker = started;
    started.on('message', hear);
    started.on('error', (error) =>
      onFault('store thread', error instanceof Error ? error : new Error(String(error))),
    );
    started.once('exit', () => {
      worker = undefined;
      up = false;
      opened.reject(new Error('a thread of the store ended while it was starting'));
      for (const id of [...pending.keys()])
        take(id)?.reject(new ThreadLost('the thread of the store ended before it answered'));
      if (closing) ended.resolve();
      else if (everUp && !pausing) start();
    });
  };
  start();
  // Whoever opens the store awaits it; a rejection before that is not a fault.
  opened.promise.catch(() => {});

  return {
    ready: opened.promise,
    ask: (call, bytes, transfer = []) => {
      const cost = CALL_COST + bytes;
      if (!worker || !up || closing)
        return Promise.reject(
          new StoreUnavailable(closing ? 'the store is closed' : 'the store is starting anew'),
        );
      if (pendingBytes + cost > maxPendingBytes)
        return Promise.reject(new StoreUnavailable('more is waiting to be written than the disk can take'));
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const id = nextId++;
      worker.postMessage({ id, call }, transfer);
      pending.set(id, { cost, resolve, reject });
      pendingBytes += cost;
      return promise;
    },
    [Symbol.asyncDispose]: async () => {
      if (!closing) {
        closing = true;
        clearTimeout(pause);
        if (worker) worker.postMessage({ close: true });
        else ended.resolve();
      }
      await ended.promise;
    },
  };
}
