import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Why no account is made now. `closed` stays so until somebody changes it; `busy` passes. */
export interface CreationStop {
  readonly kind: 'closed' | 'busy';
  /** For the log. */
  readonly reason: string;
}

/** Asked before each account is made, with names and passwords that would do. */
export type MayCreate = () => CreationStop | undefined;

/**
 * The switch: upstream closes registration by a file (`/etc/chatmail-nocreate`, relay.md 10), looked at for each
 * account; ours is `<data_dir>/nocreate`. The brakes are those of the machine.
 */
export function createMayCreate(parts: {
  readonly dataDir: string;
  readonly brakes: () => string | undefined;
}): MayCreate {
  const file = join(parts.dataDir, 'nocreate');
  return () => {
    if (existsSync(file)) return { kind: 'closed', reason: 'the file nocreate is there' };
    const busy = parts.brakes();
    return busy === undefined ? undefined : { kind: 'busy', reason: busy };
  };
}
