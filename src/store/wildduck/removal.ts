import type { ObjectId } from 'mongodb';
import type { AccountId } from '../contract.ts';
import type { Core } from './core.ts';
import type { DoomedDocument, MessageDocument } from './documents.ts';
import { partsOfMessage, releaseParts } from './foreign-parts.ts';
import type { Inboxes } from './inboxes.ts';
import { accountId, mailboxId } from './ids.ts';
import { release } from './quota.ts';

/** Removes mailboxes and accounts with all that is theirs. What a crash leaves of one is removed by `sweep`. */
export interface Removal {
  mailbox(id: ObjectId): Promise<'removed' | 'missing'>;
  account(user: ObjectId): Promise<void>;
  /** What is left of an account whose user document WildDuck's programs have removed. */
  remains(user: ObjectId): Promise<void>;
  sweep(): Promise<void>;
}

/** Messages that go in one command. */
const SLICE = 500;

export function createRemoval(
  core: Core,
  inboxes: Inboxes,
  removeTokens: (account: AccountId) => Promise<void>,
): Removal {
  const { collections, files, exclusive, clock, tell } = core;
  const { users, addresses, mailboxes, messages, journal, threads, doomed } = collections;

  /** Bytes that went. */
  const empty = async (where: { mailbox: ObjectId } | { user: ObjectId }): Promise<number> => {
    for (let bytes = 0; ;) {
      const some = await messages
        .find(where)
        .project<MessageDocument>({ size: 1, ...partsOfMessage })
        .limit(SLICE)
        .toArray();
      if (some.length === 0) return bytes;
      await messages.deleteMany({ _id: { $in: some.map(({ _id }) => _id) } });
      await files.release(some.flatMap(({ teal }) => teal?.file ?? []));
      await releaseParts(collections.files, clock, some);
      bytes += some.reduce((sum, { size }) => sum + size, 0);
    }
  };

  const finishMailbox = async ({ _id, user }: Pick<DoomedDocument, '_id' | 'user'>) => {
    await mailboxes.deleteOne({ _id });
    await release(collections, user, await empty({ mailbox: _id }));
    await journal.deleteMany({ mailbox: _id });
    await doomed.deleteOne({ _id });
  };

  const finishAccount = async ({ _id: user }: Pick<DoomedDocument, '_id'>) => {
    await users.deleteOne({ _id: user });
    await addresses.deleteMany({ user });
    inboxes.forget(user);
    await mailboxes.deleteMany({ user });
    await empty({ user });
    await Promise.all([
      journal.deleteMany({ user }),
      threads.deleteMany({ user }),
      removeTokens(accountId(user)),
    ]);
    await doomed.deleteOne({ _id: user });
  };

  const note = async (document: Omit<DoomedDocument, 'at'>) => {
    await doomed.updateOne(
      { _id: document._id },
      { $set: { kind: document.kind, user: document.user, at: new Date(clock.now()) } },
      { upsert: true },
    );
  };

  const account = async (user: ObjectId) => {
    await note({ _id: user, kind: 'account', user });
    await finishAccount({ _id: user });
    await tell([{ kind: 'account-removed', account: accountId(user) }]);
  };

  return {
    mailbox: (id) =>
      // In its turn: what was asked before is done before.
      exclusive.queue(id, async () => {
        const user = await exclusive.hold(id, async ({ mailbox }) => {
          await note({ _id: id, kind: 'mailbox', user: mailbox.user });
          await finishMailbox({ _id: id, user: mailbox.user });
          return mailbox.user;
        });
        if (!user) return 'missing';
        await tell([{ kind: 'mailbox-removed', account: accountId(user), mailbox: mailboxId(id) }]);
        return 'removed';
      }),
    account: async (user) => {
      if ((await users.countDocuments({ _id: user }, { limit: 1 })) === 0) return;
      await account(user);
    },
    remains: account,
    sweep: async () => {
      for (const left of await doomed.find({ at: { $lt: new Date(clock.now() - 60_000) } }).toArray())
        await (left.kind === 'mailbox' ? finishMailbox(left) : finishAccount(left));
    },
  };
}
