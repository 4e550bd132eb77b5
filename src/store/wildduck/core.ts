import type { Clock } from '../../clock.ts';
import type { Change } from '../contract.ts';
import type { Collections } from './connect.ts';
import type { Exclusive } from './exclusive.ts';
import type { Files } from './files.ts';
import type { Wildduck } from './wildduck.ts';

/** What the parts of the store share. */
export interface Core {
  readonly collections: Collections;
  readonly clock: Clock;
  readonly exclusive: Exclusive;
  readonly files: Files;
  readonly wildduck: Wildduck;
  /** Bytes of mail for one account. */
  readonly quota: number;
  /** For what is told without a mailbox being held: removals, push jobs. */
  readonly tell: (changes: readonly Change[]) => Promise<void>;
  readonly onFault: (where: string, error: Error) => void;
}
