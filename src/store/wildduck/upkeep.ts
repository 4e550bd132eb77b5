import type { Db, ObjectId } from 'mongodb';
import { hour, minute } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import type { MailboxId, Messages } from '../contract.ts';
import type { Task } from './background.ts';
import { partsOfMessage, releaseParts } from './foreign-parts.ts';
import type { PartsOfMessage } from './foreign-parts.ts';
import { mailboxId } from './ids.ts';

export interface UpkeepParts {
  readonly database: Db;
  readonly clock: Clock;
  readonly messages: Pick<Messages, 'storeFlags' | 'expunge'>;
  /** Removes what is left of an account whose user document is gone. */
  readonly removeAccount: (user: ObjectId) => Promise<void>;
  /** Messages that had these files of Teal's are gone. */
  readonly releaseFiles: (files: readonly ObjectId[]) => Promise<void>;
}

/** Documents in one go. */
const SLICE = 200;
/** WildDuck's programs may be about to use a part again that nobody has: they count first and look then. */
const ORPHAN_AGE = hour;

interface KeptMessage extends PartsOfMessage {
  readonly _id: ObjectId;
}
interface ExpiredMessage {
  readonly _id: ObjectId;
  readonly mailbox: ObjectId;
  readonly uid: number;
}
interface WildduckTask {
  readonly _id: ObjectId;
  readonly data: { readonly user: ObjectId };
}
interface StoredFile {
  readonly _id: string | ObjectId;
}

/**
 * What WildDuck's own background process would do of what a relay needs (wildduck.md 5.6); the rest of it, and the
 * process itself, never start. Its index for each of these queries is made under its name.
 */
export async function createUpkeep(parts: UpkeepParts): Promise<readonly Task[]> {
  const { database, clock, messages, removeAccount, releaseFiles } = parts;
  const archived = database.collection<KeptMessage>('archived');
  const files = database.collection<StoredFile>('attachments.files');
  const chunks = database.collection('attachments.chunks');
  const tasks = database.collection<WildduckTask>('tasks');
  const expired = database.collection<ExpiredMessage>('messages');

  const expires = [
    {
      name: 'retention_time',
      key: { exp: 1, rdate: 1 },
      partialFilterExpression: { exp: true },
    },
  ] as const;
  await expired.createIndexes([...expires]);
  await files.createIndexes([
    { name: 'related_attachments_cu', key: { 'metadata.c': 1, 'metadata.m': 1, 'metadata.cu': 1 } },
  ]);

  /** Deleted is gone: what WildDuck's programs put aside for 25 days when a message is expunged by them. */
  const emptyArchive = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      const some = await archived.find({}, { projection: partsOfMessage }).limit(SLICE).toArray();
      if (some.length === 0) return;
      await archived.deleteMany({ _id: { $in: some.map(({ _id }) => _id) } });
      await releaseParts(files, clock, some);
      await releaseFiles(some.flatMap(({ teal }) => teal?.file ?? []));
    }
  };

  /** Parts of messages that no message has any more. */
  const removeOrphans = async (signal: AbortSignal) => {
    const orphan = {
      'metadata.c': 0,
      'metadata.m': 0,
      'metadata.teal': { $ne: true },
      $or: [{ 'metadata.cu': null }, { 'metadata.cu': { $lt: new Date(clock.now() - ORPHAN_AGE) } }],
    };
    while (!signal.aborted) {
      const some = await files
        .find(orphan, { projection: { _id: 1 } })
        .limit(SLICE)
        .toArray();
      if (some.length === 0) return;
      for (const { _id } of some) {
        const { deletedCount } = await files.deleteOne({ _id, ...orphan });
        if (deletedCount > 0) await chunks.deleteMany({ files_id: _id });
      }
    }
  };

  /** WildDuck's mailboxes may keep their mail for some time alone (Junk, Trash). */
  const removeExpired = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      const some = await expired
        .find({ exp: true, rdate: { $lte: clock.now() } }, { projection: { mailbox: 1, uid: 1 } } as const)
        .limit(SLICE)
        .toArray();
      if (some.length === 0) return;
      let gone = 0;
      for (const [mailbox, uids] of byMailbox(some)) {
        await messages.storeFlags(mailbox, uids, { action: 'add', flags: ['\\Deleted'] });
        gone += (await messages.expunge(mailbox, uids)).length;
      }
      // Those of mailboxes that are gone go with them.
      if (gone === 0) return;
    }
  };

  /** Accounts that were deleted through WildDuck's API, which leaves all but the user document for later. */
  const removeAccounts = async (signal: AbortSignal) => {
    const waiting = tasks.find({
      task: 'user-delete',
      $or: [{ status: 'waiting' }, { status: 'delayed', lockedUntil: { $lte: new Date(clock.now()) } }],
    });
    for await (const { _id, data } of waiting) {
      if (signal.aborted) return;
      await removeAccount(data.user);
      await database.collection('deletedusers').deleteOne({ _id: data.user });
      await tasks.deleteOne({ _id });
    }
  };

  return [
    { name: 'archive', every: minute, run: emptyArchive },
    { name: 'accounts', every: minute, run: removeAccounts },
    { name: 'expired messages', every: 15 * minute, run: removeExpired },
    { name: 'orphaned parts', every: hour, run: removeOrphans },
  ];
}

function byMailbox(messages: readonly ExpiredMessage[]): Map<MailboxId, number[]> {
  const uids = new Map<MailboxId, number[]>();
  for (const { mailbox, uid } of messages) {
    const id = mailboxId(mailbox);
    uids.set(id, [...(uids.get(id) ?? []), uid]);
  }
  return uids;
}
