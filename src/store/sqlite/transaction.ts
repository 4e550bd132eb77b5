import type { Change } from '../contract.ts';
import type { Database } from './database.ts';

/** What a write works with: it runs inside a transaction that others share, under a savepoint of its own. */
export interface Transaction {
  readonly database: Database;
  /** Bytes of mail for one account. */
  readonly quota: number;
  /** To be told once the transaction is durable, in this order. */
  readonly changes: Change[];
  /** Body files whose last row went: to be removed once the transaction is durable. */
  readonly unlink: string[];
}
