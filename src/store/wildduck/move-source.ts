import type { MoveSource } from '../contract.ts';
import type { ConnectOptions } from './connect.ts';

/** The store in a MongoDB database, to be moved. */
export async function openWildduckSource(_options: ConnectOptions): Promise<MoveSource> {
  throw new Error('not yet');
}
