import type { Database } from './database.ts';
import type {
  ReadArguments,
  ReadName,
  ReadResult,
  WriteArgument,
  WriteName,
  WriteResult,
} from './operations.ts';

/** The three ways to the database, for the parts of the store on the main thread. Each fails with StoreUnavailable. */
export interface Access {
  /** Resolves when it is durable and its changes have been told. `bytes`: of message in it. */
  write<Name extends WriteName>(
    name: Name,
    argument: WriteArgument<Name>,
    bytes?: number,
    transfer?: readonly ArrayBuffer[],
  ): Promise<WriteResult<Name>>;
  /** In the reader thread: for lists and scans. */
  read<Name extends ReadName>(name: Name, ...rest: ReadArguments<Name>): Promise<ReadResult<Name>>;
  /** At once, on the main thread's connection: for a few rows by key, which take some 20 µs. */
  local<Result>(read: (database: Database) => Result): Promise<Result>;
}
