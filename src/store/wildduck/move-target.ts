import type { MoveTarget } from '../contract.ts';
import type { ConnectOptions } from './connect.ts';

/** A MongoDB database to be filled by `teal move`. */
export async function openWildduckTarget(_options: ConnectOptions): Promise<MoveTarget> {
  throw new Error('not yet');
}
