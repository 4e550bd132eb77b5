import type { Db } from 'mongodb';
import type { Clock } from '../../clock.ts';
import { minute, second } from '../../clock.ts';

/**
 * The clock of the database, which every process of the cluster agrees on. Times that callers hand in are of their own
 * machine's clock; what is compared between processes (when a lease ends) is kept in the database's time.
 */
export interface DatabaseClock extends Disposable {
  toDatabase(time: number): number;
  fromDatabase(time: number): number;
  /** Asks the database what time it is. Rejects where it does not answer; then what was known stays. */
  measure(): Promise<void>;
}

/** Less than this is no difference: the answer's way is a part of it, and no lease of ours is that short. */
const TOLERANCE = second;
/**
 * A clock that drifts does so by far less than a second in this time; one that is set anew, or whose machine stood still,
 * is noticed before the leases of others seem to be over.
 */
const MEASURE_EVERY = minute;

/** Starts without a difference: `measure` once before leases are taken; after that it is measured now and then. */
export function createDatabaseClock(
  database: Pick<Db, 'command'>,
  clock: Clock,
  onFault: (where: string, error: Error) => void,
): DatabaseClock {
  let ahead = 0;
  let ended = false;
  let away = false;

  const measure = async () => {
    const before = clock.now();
    const { localTime } = await database.command({ hello: 1 });
    const after = clock.now();
    if (!(localTime instanceof Date)) return;
    // Somewhere between the two: the middle is wrong by half of the way at most.
    const difference = localTime.getTime() - (before + after) / 2;
    if (Math.abs(difference - ahead) > TOLERANCE) ahead = Math.round(difference);
  };

  const measureLater = (): Disposable =>
    clock.after(MEASURE_EVERY, () => {
      measure()
        .then(
          () => {
            away = false;
          },
          (error: unknown) => {
            // Once for each time that it goes away.
            if (!ended && !away) onFault('database clock', error as Error);
            away = true;
          },
        )
        .finally(() => {
          if (!ended) timer = measureLater();
        });
    });
  let timer = measureLater();

  return {
    toDatabase: (time) => time + ahead,
    fromDatabase: (time) => time - ahead,
    measure,
    [Symbol.dispose]() {
      ended = true;
      timer[Symbol.dispose]();
    },
  };
}
