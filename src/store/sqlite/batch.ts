import type { Change } from '../contract.ts';
import { isDiskTrouble } from './database.ts';
import type { Database } from './database.ts';
import { writes } from './operations.ts';
import type { Answer, WriteCall } from './protocol.ts';
import type { Transaction } from './transaction.ts';

export interface BatchResult {
  readonly answers: readonly Answer[];
  readonly changes: readonly Change[];
  /** Body files to remove now. */
  readonly unlink: readonly string[];
}

/** Any of `writes`, seen from where its name is not known; WriteCall's maker has checked that the argument fits. */
type AnyWrite = (transaction: Transaction, argument: unknown) => unknown;

/**
 * Runs all calls in one transaction, durable when this returns. Each has its own savepoint: one that fails answers for
 * itself and leaves nothing behind. Where the disk fails nothing of the batch is kept and every answer is `unavailable`;
 * the next batch is the next try, so the store goes on as soon as it can. Never throws.
 */
export function runBatch(
  database: Database,
  quota: number,
  calls: readonly { readonly id: number; readonly call: WriteCall }[],
): BatchResult {
  const transaction = { database, quota, changes: [] as Change[], unlink: [] as string[] };
  const answers: Answer[] = [];
  try {
    database.exec('BEGIN IMMEDIATE');
    for (const { id, call } of calls) answers.push(runCall(transaction, id, call));
    database.exec('COMMIT');
  } catch (error) {
    rollBack(database);
    const message = error instanceof Error ? error.message : String(error);
    return {
      answers: calls.map(({ id }) => ({ id, kind: 'unavailable', message })),
      changes: [],
      unlink: [],
    };
  }
  return { answers, changes: wakeOnce(transaction.changes), unlink: transaction.unlink };
}

function runCall(transaction: Transaction, id: number, call: WriteCall): Answer {
  const { database, changes, unlink } = transaction;
  const before = { changes: changes.length, unlink: unlink.length };
  database.run('SAVEPOINT call');
  try {
    const value = (writes[call.name] as AnyWrite)(transaction, call.argument);
    database.run('RELEASE call');
    return { id, kind: 'done', value };
  } catch (error) {
    // Disk trouble concerns the others too, and SQLite may have rolled all of it back already.
    if (isDiskTrouble(error) || !database.inTransaction) throw error;
    database.run('ROLLBACK TO call');
    database.run('RELEASE call');
    changes.length = before.changes;
    unlink.length = before.unlink;
    return {
      id,
      kind: 'fault',
      message: `${call.name}: ${error instanceof Error ? (error.stack ?? '') : ''}`,
    };
  }
}

function rollBack(database: Database): void {
  try {
    if (database.inTransaction) database.exec('ROLLBACK');
  } catch {
    // The next BEGIN says what is wrong.
  }
}

/** One `push` and one `queue` for the whole batch, after what they are about. */
function wakeOnce(changes: readonly Change[]): readonly Change[] {
  const others = changes.filter(({ kind }) => kind !== 'push' && kind !== 'queue');
  if (others.length === changes.length) return changes;
  const wakes = (['push', 'queue'] as const).filter((wake) => changes.some(({ kind }) => kind === wake));
  return [...others, ...wakes.map((kind) => ({ kind }))];
}
