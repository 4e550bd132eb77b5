import type { Collection } from 'mongodb';
import { minute } from '../../clock.ts';
import type { Clock, Timer } from '../../clock.ts';
import { isDuplicate } from './duplicate-key.ts';

/** A document of the collection `teal.leases`. */
export interface LeaseDocument {
  /** What is leased. */
  readonly _id: string;
  /** The process that has it. */
  readonly by: string;
  /** Until when, by the database's clock. */
  readonly until: Date;
  /** One more each time it goes to somebody: for people who look. */
  readonly fence: number;
}

/** Work that goes on beside the requests, in one process of all at a time. It must do no harm when done twice at once. */
export interface Task {
  readonly name: string;
  /** How long after its last run it runs again, in ms. */
  readonly every: number;
  /** Stops soon once `signal` is aborted: the process ends, or the lease is another's. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export interface BackgroundParts {
  readonly leases: Collection<LeaseDocument>;
  /** Names this process. */
  readonly name: string;
  readonly clock: Clock;
  readonly tasks: readonly Task[];
  readonly onFault: (where: string, error: Error) => void;
}

/** What a dead process leaves undone for this long nobody does. */
const LEASE = 3 * minute;
/** Who has the lease renews it as often, who has not looks whether it is free. */
const TURN = minute;
/** The lease that somebody has as long as any process serves. */
export const LEASED = 'background';

/**
 * Runs the tasks, one after another, while this process has the lease. Disposing of it ends the task that runs and
 * gives the lease back.
 */
export function createBackground(parts: BackgroundParts): AsyncDisposable {
  const { leases, name, clock, tasks, onFault } = parts;
  const due = new Map(tasks.map((task) => [task, -Infinity]));
  const stop = new AbortController();
  let holding: AbortController | undefined;
  let timer: Timer | undefined;
  let running: Promise<void> = Promise.resolve();

  const fault = (where: string) => (error: unknown) => {
    if (!stop.signal.aborted) onFault(where, error instanceof Error ? error : new Error(String(error)));
  };

  const runDue = async (signal: AbortSignal): Promise<void> => {
    for (const [task, at] of due) {
      if (signal.aborted || at > clock.now()) continue;
      await task.run(signal).catch(fault(`store ${task.name}`));
      due.set(task, clock.now() + task.every);
    }
  };

  const turn = async (): Promise<void> => {
    const mine = await takeLease(leases, LEASED, name, LEASE);
    if (!mine) {
      holding?.abort();
      holding = undefined;
    } else if (holding === undefined && !stop.signal.aborted) {
      holding = new AbortController();
    }
  };

  const next = () => {
    if (stop.signal.aborted) return;
    timer = clock.after(TURN, next);
    running = Promise.all([running, turn().catch(fault('store background'))]).then(() => {});
    // The tasks run beside the turns, which keep the lease; never two at once.
    busy ??= running.then(async () => {
      if (holding) await runDue(AbortSignal.any([stop.signal, holding.signal]));
      busy = undefined;
    });
  };
  let busy: Promise<void> | undefined;
  next();

  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      timer?.[Symbol.dispose]();
      await running;
      await busy;
      // If that fails, it runs out.
      if (holding) await giveLease(leases, LEASED, name).catch(() => {});
    },
  };
}

/** Takes or renews a lease; false where another has it. */
export async function takeLease(
  leases: Collection<LeaseDocument>,
  what: string,
  by: string,
  forMs: number,
): Promise<boolean> {
  const until = { $add: ['$$NOW', forMs] };
  const { matchedCount } = await leases.updateOne(
    { _id: what, $or: [{ by }, { $expr: { $lte: ['$until', '$$NOW'] } }] },
    [{ $set: { until, by, fence: { $add: ['$fence', { $cond: [{ $eq: ['$by', by] }, 0, 1] }] } } }],
  );
  if (matchedCount > 0) return true;
  try {
    // The first of all makes it, as one that has run out.
    await leases.insertOne({ _id: what, by: '', until: new Date(0), fence: 0 });
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
  return takeLease(leases, what, by, forMs);
}

/** Another may have it at once. */
export async function giveLease(leases: Collection<LeaseDocument>, what: string, by: string): Promise<void> {
  await leases.updateOne({ _id: what, by }, { $set: { by: '', until: new Date(0) } });
}
