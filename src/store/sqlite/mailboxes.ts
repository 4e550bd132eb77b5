import type { Mailboxes } from '../contract.ts';
import type { Access } from './access.ts';
import { sweep } from './accounts.ts';
import { rowOf } from './ids.ts';
import { mailboxByName, mailboxes } from './reads/mailboxes.ts';

export function createMailboxes(access: Access): Mailboxes {
  return {
    list: (account) => access.local((database) => mailboxes(database, rowOf(account))),
    find: (account, name) => access.local((database) => mailboxByName(database, rowOf(account), name)),
    status: (id) => access.read('status', rowOf(id)),
    create: (account, name, now) => access.write('createMailbox', { account, name, now }),
    remove: async (id) => {
      const outcome = await access.write('removeMailbox', { id });
      await sweep(access);
      return outcome;
    },
    rename: (id, name) => access.write('renameMailbox', { id, name }),
    subscribe: (id, subscribed) => access.write('subscribeMailbox', { id, subscribed }),
  };
}
