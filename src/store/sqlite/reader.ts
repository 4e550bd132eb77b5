import { parentPort, workerData } from 'node:worker_threads';
import { isDiskTrouble, openForReading } from './database.ts';
import type { Database } from './database.ts';
import { reads } from './operations.ts';
import type { Answer, ReadCall, Report, Request, ThreadData } from './protocol.ts';

/** The reader thread: lists, scans and bigger bodies, so that the main loop never waits for them. */

if (!parentPort) throw new Error('reader.ts is the entry of a worker thread');
const port = parentPort;
const { path, busyTimeout } = workerData as ThreadData;
const post = (report: Report) => port.postMessage(report);

/** Any of `reads`, seen from where its name is not known; ReadCall's maker has checked that the arguments fit. */
type AnyRead = (database: Database, ...rest: readonly unknown[]) => unknown;

function answer(database: Database, id: number, call: ReadCall): Answer {
  try {
    return { id, kind: 'done', value: (reads[call.name] as AnyRead)(database, ...call.arguments) };
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { id, kind: isDiskTrouble(error) ? 'unavailable' : 'fault', message };
  }
}

function start(): void {
  const database = openForReading(path, busyTimeout);
  port.on('message', (request: Request<ReadCall>) => {
    if ('close' in request) {
      database[Symbol.dispose]();
      port.close();
    } else {
      post({ kind: 'answers', answers: [answer(database, request.id, request.call)], changes: [] });
    }
  });
  post({ kind: 'ready' });
}

try {
  start();
} catch (error) {
  post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  port.close();
}
