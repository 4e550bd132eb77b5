import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openForWriting } from './database.ts';
import { createHousekeeping, truncateLog } from './housekeeping.ts';
import { migrate } from './migrate.ts';
import { runBatch } from './batch.ts';
import type { Report, Request, ThreadData, WriteCall } from './protocol.ts';

/**
 * The writer thread: the only connection that writes. What has arrived while the last transaction was being made
 * durable is the next one (group commit): one by one at rest, many under load, with no timer (runtime.md 3.8).
 */

/** Calls in one transaction. */
const MAX_CALLS = 512;
/** Bytes of message in one transaction, roughly: the last call may go above. */
const MAX_BYTES = 8 * 1024 * 1024;

if (!parentPort) throw new Error('writer.ts is the entry of a worker thread');
const port = parentPort;
const { path, bodies, quota, busyTimeout } = workerData as ThreadData;

const post = (report: Report) => port.postMessage(report);
const fault = (where: string, error: unknown) =>
  post({ kind: 'fault', where, message: error instanceof Error ? error.message : String(error) });

function start(): void {
  const database = openForWriting(path, busyTimeout);
  migrate(database);
  const housekeeping = createHousekeeping(database, busyTimeout, (error) =>
    fault('store housekeeping', error),
  );

  port.on('message', (first: Request<WriteCall>) => {
    const calls: { id: number; call: WriteCall }[] = [];
    let bytes = 0;
    let closing = false;
    let request: Request<WriteCall> | undefined = first;
    while (request) {
      if ('close' in request) {
        closing = true;
        break;
      }
      calls.push(request);
      bytes += request.call.bytes;
      if (calls.length >= MAX_CALLS || bytes >= MAX_BYTES) break;
      request = receiveMessageOnPort(port)?.message as Request<WriteCall> | undefined;
    }
    if (calls.length > 0) {
      const { answers, changes, unlink } = runBatch(database, quota, calls);
      // Durable by now. A file that stays behind goes at the next start (orphans are swept).
      for (const file of unlink) remove(file);
      post({ kind: 'answers', answers, changes });
      housekeeping.wrote();
    }
    if (closing) {
      housekeeping[Symbol.dispose]();
      close();
    }
  });

  const close = () => {
    try {
      truncateLog(database, busyTimeout, busyTimeout);
      database[Symbol.dispose]();
    } catch (error) {
      fault('store close', error);
    }
    port.close();
  };
  post({ kind: 'ready' });
}

function remove(file: string): void {
  try {
    unlinkSync(join(bodies, file));
  } catch (error) {
    fault('store body file', error);
  }
}

try {
  start();
} catch (error) {
  post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  port.close();
}
