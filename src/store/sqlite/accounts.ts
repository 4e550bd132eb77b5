import type { Accounts } from '../contract.ts';
import type { Access } from './access.ts';
import { rowOf } from './ids.ts';
import { accountRow, accountRows, lastLoginDay, usedBytes } from './reads/accounts.ts';
import { startOfDay, toAccount } from './rows.ts';

/** Addresses looked up on the main thread; more go to the reader. */
const FEW = 50;

export function createAccounts(access: Access, quota: number): Accounts {
  return {
    find: async (address) => {
      const row = await access.local((database) => accountRow(database, address));
      return row && toAccount(row);
    },
    findMany: async (addresses) => {
      const rows =
        addresses.length <= FEW
          ? await access.local((database) => accountRows(database, addresses))
          : await access.read('accountRows', addresses);
      return new Map(rows.map((row) => [row.address, toAccount(row)]));
    },
    create: async (address, passwordHash, now) => {
      const { account, created } = await access.write('createAccount', { address, passwordHash, now });
      return { account: toAccount(account), created };
    },
    setPasswordHash: (id, passwordHash) => access.write('setPasswordHash', { id, passwordHash }),
    touch: async (id, now) => {
      const day = startOfDay(now);
      const last = await access.local((database) => lastLoginDay(database, rowOf(id)));
      if (last !== undefined && last < day) await access.write('touchAccount', { id, day });
    },
    setAcceptsCleartext: (id, accepts) => access.write('setAcceptsCleartext', { id, accepts }),
    remove: async (id) => {
      await access.write('removeAccount', { id });
      await sweep(access);
    },
    quota: async (id) => ({
      used: await access.local((database) => usedBytes(database, rowOf(id))),
      limit: quota,
    }),
  };
}

/** Removes all that removed mailboxes still hold; other writes get their turn between the slices. */
export async function sweep(access: Access): Promise<void> {
  while (await access.write('sweepRemoved', undefined));
}
