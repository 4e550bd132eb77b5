import type { Signer } from '../dkim/signer.ts';
import { createByteBudget } from '../limits/byte-budget.ts';
import { MAX_SIGNATURE } from '../store/contract.ts';
import type { QueueBatch, QueuedId, Queue } from '../store/contract.ts';

/** A message of the queue in memory, as it goes out. Dispose of it when its try is over. */
export interface Loaded extends Disposable {
  /** Signed. */
  readonly message: Buffer;
  /** Of the message as it was accepted, for a bounce. */
  readonly header: Buffer;
}

export interface LoaderParts {
  readonly queue: Pick<Queue, 'body' | 'keepSignature'>;
  readonly signer: Signer;
  /** Bytes of messages larger than `SMALL_MESSAGE` in memory at once; one that is larger than that goes alone. */
  readonly memory: number;
}

/** Bytes; what is not larger needs nobody's leave: the tries that may be under way at once are the bound. */
export const SMALL_MESSAGE = 256 * 1024;
/** Large messages that wait for memory at once, each with its claim. */
export const MAX_WAITING_FOR_MEMORY = 32;
/** Read from the store in one go. */
const PIECE = 1024 * 1024;

/**
 * Brings messages of the queue into memory, once each, however many destinations they go to. Small ones come at once;
 * large ones wait in line for room within the budget.
 */
export interface Loader {
  /**
   * `gone`: its last row is gone. `busy`: too many wait for memory, or `signal` was aborted while it waited. Rejects as
   * the store and the signer do.
   */
  load(batch: QueueBatch, signal: AbortSignal): Promise<Loaded | 'gone' | 'busy'>;
}

export function createLoader({ queue, signer, memory }: LoaderParts): Loader {
  const byteBudget = createByteBudget(memory);
  /** Those in memory or on their way there, with how many tries hold them. */
  const held = new Map<QueuedId, Shared>();
  const waiting = new Set<() => void>();

  /** Room for `bytes`; undefined where there is none in time. Who came first is served first. */
  const reserve = async (size: number, signal: AbortSignal): Promise<(() => void) | undefined> => {
    if (size <= SMALL_MESSAGE) return () => {};
    const bytes = Math.min(size, memory);
    const direct = waiting.size === 0 ? byteBudget.reserve(bytes) : undefined;
    if (direct !== undefined) return direct;
    if (waiting.size >= MAX_WAITING_FOR_MEMORY || signal.aborted) return undefined;
    return new Promise((resolve) => {
      const end = (release: (() => void) | undefined) => {
        waiting.delete(look);
        signal.removeEventListener('abort', abort);
        resolve(release);
        // The next one may fit into what is left, or come to the head of the line.
        next();
      };
      const look = () => {
        const release = byteBudget.reserve(bytes);
        if (release !== undefined) end(release);
      };
      const abort = () => end(undefined);
      waiting.add(look);
      signal.addEventListener('abort', abort);
    });
  };
  const next = () => {
    const [first] = waiting;
    first?.();
  };

  const bring = async (batch: QueueBatch, shared: Shared): Promise<Content | 'gone' | 'busy'> => {
    const release = await reserve(batch.size, shared.cut.signal);
    if (release === undefined) return 'busy';
    shared.release = () => {
      release();
      next();
    };
    // Everybody has left meanwhile.
    if (shared.users === 0) {
      shared.release();
      return 'busy';
    }
    await using body = await queue.body(batch.message);
    if (body === undefined) return 'gone';
    // The signature goes before the message without another copy of it.
    const room = Buffer.allocUnsafe(MAX_SIGNATURE + body.size);
    const bytes = room.subarray(MAX_SIGNATURE);
    for (let at = 0; at < body.size; at += PIECE) {
      (await body.read(at, Math.min(at + PIECE, body.size))).copy(bytes, at);
    }
    const fields = await signatureOf(batch, bytes);
    const start = MAX_SIGNATURE - Buffer.byteLength(fields, 'latin1');
    room.write(fields, start, 'latin1');
    return { message: room.subarray(start), header: bytes.subarray(0, body.headerSize) };
  };

  const signatureOf = async ({ message, signature }: QueueBatch, bytes: Buffer): Promise<string> => {
    const keys = await signer.keys();
    if (signature?.keys === keys) return signature.fields;
    const fields = await signer.sign(bytes);
    if (fields !== '') await queue.keepSignature(message, { keys, fields });
    return fields;
  };

  return {
    async load(batch, signal) {
      const { message: id } = batch;
      const shared = held.get(id) ?? share();
      held.set(id, shared);
      shared.users++;
      let left = false;
      const leave = () => {
        if (left) return;
        left = true;
        signal.removeEventListener('abort', leave);
        if (--shared.users > 0) return;
        if (held.get(id) === shared) held.delete(id);
        shared.cut.abort();
        shared.release();
      };
      // Whoever waits for memory alone, and is cut off, leaves the line.
      signal.addEventListener('abort', leave);
      try {
        const content = await (shared.content ??= bring(batch, shared));
        if (typeof content === 'string') {
          // Who asks next tries anew.
          if (held.get(id) === shared) held.delete(id);
          leave();
          return content;
        }
        signal.removeEventListener('abort', leave);
        if (left) return 'busy';
        return { ...content, [Symbol.dispose]: leave };
      } catch (error) {
        if (held.get(id) === shared) held.delete(id);
        leave();
        throw error;
      }
    },
  };
}

type Content = Pick<Loaded, 'message' | 'header'>;

interface Shared {
  users: number;
  content?: Promise<Content | 'gone' | 'busy'>;
  release: () => void;
  /** Aborted when nobody wants it any more. */
  readonly cut: AbortController;
}

function share(): Shared {
  return { users: 0, release: () => {}, cut: new AbortController() };
}
