import { pino } from 'pino';
import type { Log } from '../../src/observe/log.ts';

export interface LoggedEvent extends Readonly<Record<string, unknown>> {
  readonly event: string;
}

/** A log that a test reads. */
export interface EventLog {
  readonly log: Log;
  readonly events: readonly LoggedEvent[];
  /** Resolves with the first event of that name after those already handed out. */
  next(event: string): Promise<LoggedEvent>;
}

/** An event that does not come fails the test with what came instead. */
const PATIENCE_MS = 20_000;

export function createEventLog(): EventLog {
  const events: LoggedEvent[] = [];
  const handedOut = new Map<string, number>();
  const waiting = new Set<() => void>();
  const log = pino(
    { level: 'info', base: null },
    {
      write(line: string) {
        events.push(JSON.parse(line) as LoggedEvent);
        for (const look of waiting) look();
      },
    },
  );
  return {
    log,
    events,
    next(event) {
      return new Promise((resolve, reject) => {
        const late = () => {
          waiting.delete(look);
          reject(new Error(`no event ${event}; there were: ${JSON.stringify(events, null, 1)}`));
        };
        const timer = setTimeout(late, PATIENCE_MS);
        const look = () => {
          const place = events.findIndex(
            (one, index) => one.event === event && index >= (handedOut.get(event) ?? 0),
          );
          const found = events[place];
          if (found === undefined) return;
          clearTimeout(timer);
          waiting.delete(look);
          handedOut.set(event, place + 1);
          resolve(found);
        };
        waiting.add(look);
        look();
      });
    },
  };
}
