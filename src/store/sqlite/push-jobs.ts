import { TOKEN_LIFE } from '../contract.ts';
import type { DeviceTokens, PushJobs } from '../contract.ts';
import type { Access } from './access.ts';
import { rowOf } from './ids.ts';
import { nextDue, tokens } from './reads/accounts.ts';

export function createTokens(access: Access): DeviceTokens {
  return {
    add: (account, token, now) => access.write('addToken', { account, token, now }),
    list: (account, now) => access.local((database) => tokens(database, rowOf(account), now - TOKEN_LIFE)),
  };
}

export function createPushJobs(access: Access): PushJobs {
  return {
    claim: (now, limit, leaseMs) => access.write('claimJobs', { now, limit, leaseMs }),
    settle: (job, outcome) => access.write('settleJob', { job, outcome }),
    nextDue: () => access.local(nextDue),
  };
}
