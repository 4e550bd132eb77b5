import { ObjectId } from 'mongodb';
import type { AnyBulkWriteOperation } from 'mongodb';
import type { Message, Messages, StoreFlags } from '../contract.ts';
import { contentOf } from './content.ts';
import { copyMessages } from './copy.ts';
import type { Core } from './core.ts';
import { append } from './deliver.ts';
import type { MessageDocument } from './documents.ts';
import type { Held } from './exclusive.ts';
import { applied, same } from './flags.ts';
import { accountId, mailboxId, objectId } from './ids.ts';
import { release } from './quota.ts';
import { messageFields, messageOf } from './reads.ts';
import type { Reads } from './reads.ts';
import { removable, removeMessages } from './remove-messages.ts';
import type { Removable } from './remove-messages.ts';

export function createMessages(core: Core, reads: Reads): Messages {
  const { collections, exclusive } = core;
  const { messages } = collections;

  const expungeHeld = async (held: Held, uids: readonly number[] | 'all', origin: string | undefined) => {
    const { _id: mailbox, user, uidNext } = held.mailbox;
    const rows = await messages
      .find({
        mailbox,
        undeleted: false,
        uid: { ...(uids === 'all' ? {} : { $in: [...uids] }), $lt: uidNext },
      })
      .project<Removable>(removable)
      .sort({ uid: 1 })
      .toArray();
    await removeMessages(core, held, rows, origin);
    await release(collections, user, sizeOf(rows));
    return rows.map(({ uid }) => uid);
  };

  return {
    ...reads,

    append: async (id, { now, message, headerSize, flags, internalDate }) => {
      const mailbox = objectId(id);
      // The caller's buffer is the caller's when this returns.
      const bytes = Buffer.from(message);
      const there = mailbox && (await collections.mailboxes.countDocuments({ _id: mailbox }, { limit: 1 }));
      if (!mailbox || !there) return 'missing';
      const content = await contentOf(core, bytes, headerSize, 1);
      const arrival = {
        id: new ObjectId(),
        prepared: await core.wildduck.prepare(content),
        flags,
        internalDate,
        now,
      };
      const appended = await append(core, mailbox, arrival).catch((error: unknown) => error as Error);
      if (appended instanceof Error || typeof appended !== 'object') {
        if (content.file) await core.files.release([content.file]);
        if (appended instanceof Error) throw appended;
        return appended ?? 'missing';
      }
      return { uidValidity: appended.uidValidity, uid: appended.uid };
    },

    storeFlags: async (id, uids, change, origin) => {
      const mailbox = objectId(id);
      const done =
        mailbox && (await exclusive.run(mailbox, (held) => storeFlags(core, held, uids, change, origin)));
      return done ?? { changed: [], refused: [] };
    },

    expunge: async (id, uids, origin) => {
      const mailbox = objectId(id);
      /** What an earlier try had begun is completed by whoever takes the mailbox next: this, or another process. */
      const begun = new Set<number>();
      const done =
        mailbox &&
        (await exclusive.run(mailbox, async (held) => {
          for (const uid of await expungeHeld(held, uids, origin)) begun.add(uid);
        }));
      void done;
      return [...begun].sort((one, other) => one - other);
    },

    copy: (from, uids, to, how) => copyMessages(core, from, uids, to, how),
  };
}

async function storeFlags(
  { collections: { messages } }: Core,
  held: Held,
  uids: readonly number[],
  change: StoreFlags,
  origin: string | undefined,
): Promise<{ changed: Message[]; refused: number[] }> {
  const { _id: mailbox, user, uidNext } = held.mailbox;
  const rows = await messages
    .find({ mailbox, uid: { $in: [...uids], $lt: uidNext } })
    .project<MessageDocument>({ ...messageFields, thread: 1 })
    .sort({ uid: 1 })
    .toArray();
  const changed: Message[] = [];
  const refused: number[] = [];
  const told: { uid: number; flags: readonly string[] }[] = [];
  const writes: AnyBulkWriteOperation<MessageDocument>[] = [];
  let modseq: number | undefined;
  for (const row of rows) {
    if (change.unchangedSince !== undefined && row.modseq > change.unchangedSince) {
      refused.push(row.uid);
      continue;
    }
    const flags = applied(row.flags, change);
    // Again: an earlier try may have written the flags, under a MODSEQ that counts for another change.
    if (same(flags, row.flags) && !held.again) {
      changed.push(messageOf(row));
      continue;
    }
    modseq ??= held.nextModseq();
    const filter = { _id: row._id, mailbox, uid: row.uid, modseq: row.modseq };
    writes.push({ updateOne: { filter, update: withFlags(flags, modseq) } });
    held.journal({
      command: 'FETCH',
      uid: row.uid,
      flags,
      message: row._id,
      thread: row.thread,
      modseq,
      unseenChange: flags.includes('\\Seen') !== row.flags.includes('\\Seen'),
    });
    told.push({ uid: row.uid, flags });
    changed.push(messageOf({ ...row, flags, modseq }));
  }
  if (modseq === undefined) return { changed, refused };
  held.change({
    kind: 'flags',
    account: accountId(user),
    mailbox: mailboxId(mailbox),
    modseq,
    messages: told,
    ...(origin === undefined ? {} : { origin }),
  });
  await Promise.all([messages.bulkWrite(writes, { ordered: false }), held.writeJournal()]);
  return { changed, refused };
}

/** Flags as WildDuck keeps them: the common ones once more, for its searches. */
function withFlags(flags: readonly string[], modseq: number) {
  const deleted = flags.includes('\\Deleted');
  return {
    $set: {
      flags,
      modseq,
      unseen: !flags.includes('\\Seen'),
      flagged: flags.includes('\\Flagged'),
      undeleted: !deleted,
      draft: flags.includes('\\Draft'),
      ...(deleted ? {} : { searchable: true }),
    },
    ...(deleted ? { $unset: { searchable: true as const } } : {}),
  };
}

const sizeOf = (rows: readonly { readonly size: number }[]) => rows.reduce((sum, { size }) => sum + size, 0);
