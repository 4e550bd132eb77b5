import type { Change, Store, StoreOptions } from '../contract.ts';
import type { Clock, Random } from '../../clock.ts';
import { connect } from './connect.ts';
import type { ConnectOptions } from './connect.ts';

export interface WildduckOptions extends StoreOptions, Omit<ConnectOptions, 'onFault'> {
  readonly clock: Clock;
  readonly random: Random;
  /** What went wrong that no caller waits for; the store goes on. Without it such faults are not told. */
  readonly onFault?: (where: string, error: Error) => void;
}

/** What the store needs of the bus between processes (bus.ts). */
export interface Publish {
  /** Called with what became visible here, in order, in the turn in which `onChange` was told. */
  publish(changes: readonly Change[]): void;
}

/** Opens the store in a MongoDB database that any number of Teal processes share. */
export async function openWildduckStore(options: WildduckOptions): Promise<Store> {
  const { onFault = () => {} } = options;
  await using connection = await connect({ ...options, onFault });
  await connection.mongo.command({ ping: 1 });
  throw new Error('not yet');
}
