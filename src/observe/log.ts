import { pino } from 'pino';
import type { Logger } from 'pino';

export type Log = Logger;
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

/**
 * The one logger: JSON lines on stdout. Nothing private may reach it: no message content, password, token or network
 * address; mail addresses only where an operator needs them to help a user.
 */
export function createLog(level: LogLevel): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
}
