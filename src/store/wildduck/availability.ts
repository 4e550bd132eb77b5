import { MongoError, MongoServerError } from 'mongodb';
import { second } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { StoreUnavailable } from '../contract.ts';
import { isDuplicate } from './duplicate-key.ts';

/** Between two tries to open: at first soon, then now and then. */
const FIRST_WAIT = second;
const LONGEST_WAIT = 10 * second;
/** How long one answer of `ping` may take, all in all. */
const PING_TIMEOUT = 5 * second;

export interface OpeningParts<T> {
  readonly open: () => Promise<T>;
  /** Says whether trying again may help; a wrong password or URL is for the operator to mend. */
  readonly mayPass: (error: unknown) => boolean;
  readonly clock: Clock;
  readonly onFault: (where: string, error: Error) => void;
  /** Ends the waiting: the process stops. */
  readonly signal?: AbortSignal;
}

/**
 * Opens what may not be there yet: a relay that starts before its database waits for it. Each try that fails is told
 * with when the next one is. Rejects with what will not pass, or when it is to end.
 */
export async function openWhenThere<T>({
  open,
  mayPass,
  clock,
  onFault,
  signal,
}: OpeningParts<T>): Promise<T> {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    signal?.throwIfAborted();
    try {
      return await open();
    } catch (error) {
      if (!mayPass(error)) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const said = `the store is not there yet (next try in ${wait / second} s): ${reason}`;
      onFault('store start', new Error(said, { cause: error }));
    }
    await pause(clock, wait, signal);
  }
}

async function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  using _timer = clock.after(ms, resolve);
  const stop = () => resolve();
  signal?.addEventListener('abort', stop, { once: true });
  await promise;
  signal?.removeEventListener('abort', stop);
}

/** Numbers of MongoDB for what trying again does not mend: a login it does not take, rights that are missing. */
const LASTING = new Set([13, 18, 8000]);

/** Whether an error of the driver is the database's being away, or busy, or changing its primary. */
export function mayPass(error: unknown): boolean {
  if (error instanceof StoreUnavailable) return true;
  if (!(error instanceof MongoError)) return false;
  if (error.name === 'MongoParseError' || error.name === 'MongoInvalidArgumentError') return false;
  return !(error instanceof MongoServerError && typeof error.code === 'number' && LASTING.has(error.code));
}

/**
 * Errors of the driver as the contract names them. A refused key is not one of those; neither is a fault in our own
 * code.
 */
export function asUnavailable(error: unknown): unknown {
  if (error instanceof MongoError && !isDuplicate(error))
    return new StoreUnavailable(`the database does not answer: ${error.message}`, { cause: error });
  if (error instanceof Error && isRedisAway(error))
    return new StoreUnavailable(`Redis does not answer: ${error.message}`, { cause: error });
  return error;
}

/** What ioredis says, whose errors have no class or code of their own, when there is no connection or no answer. */
function isRedisAway({ name, message }: Error): boolean {
  if (name === 'MaxRetriesPerRequestError' || name === 'AbortError') return true;
  return /^(Stream isn't writeable|Connection is closed|Command timed out)/.test(message);
}

export interface PingParts {
  readonly clock: Clock;
  /** A read and a durable write in the database. */
  readonly database: () => Promise<unknown>;
  readonly redis: () => Promise<unknown>;
  /** Whether the bus hears the other processes. */
  readonly connected: () => boolean;
}

/** `ping` of the contract: rejects with StoreUnavailable, soon, whichever of the two does not answer. */
export function createPing({ clock, database, redis, connected }: PingParts): () => Promise<void> {
  return async () => {
    const late = Promise.withResolvers<never>();
    using _timer = clock.after(PING_TIMEOUT, () =>
      late.reject(new StoreUnavailable('the store is slow to answer')),
    );
    const say = (what: string) => (error: unknown) => {
      if (error instanceof StoreUnavailable) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new StoreUnavailable(`${what} does not answer: ${reason}`, { cause: error });
    };
    const answers = Promise.all([database().catch(say('the database')), redis().catch(say('Redis'))]);
    await Promise.race([answers, late.promise]);
    if (!connected()) throw new StoreUnavailable('Redis does not tell of changes');
  };
}
