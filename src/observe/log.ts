import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type Log = Logger;
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/**
 * The one logger: JSON lines on stdout. Nothing private may reach it: no message content, password, token or network
 * address; mail addresses only where an operator needs them to help a user. `destination` is for tests.
 */
export function createLog(level: LogLevel, destination: DestinationStream = pino.destination(1)): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      // In the words of log_level, not in pino's numbers.
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}
