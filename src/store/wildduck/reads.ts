import type { ObjectId } from 'mongodb';
import { MAX_UIDS_AT_ONCE } from '../contract.ts';
import type { Body, Message, Messages } from '../contract.ts';
import type { Adopt } from './adopt.ts';
import { openContent } from './content.ts';
import type { Core } from './core.ts';
import type { MailboxDocument, MessageDocument } from './documents.ts';
import { objectId } from './ids.ts';
import type { Visible } from './visible.ts';

export type Reads = Pick<
  Messages,
  'snapshot' | 'get' | 'changedSince' | 'expungedSince' | 'headers' | 'body'
>;

/** What a `Message` is made of. */
export const messageFields = {
  uid: 1,
  modseq: 1,
  flags: 1,
  size: 1,
  idate: 1,
  'teal.headerSize': 1,
  'teal.saved': 1,
} as const;

/** Messages whose modseq is asked in one command: a document is about 300 bytes. */
const BATCH = 1000;

export function createReads(
  core: Pick<Core, 'collections' | 'files'>,
  visible: Visible,
  adopt: Adopt,
): Reads {
  const { mailboxes, messages, journal } = core.collections;

  /** Of these UIDs what may be shown. */
  const shown = async (mailbox: ObjectId, uids: readonly number[]) => {
    if (uids.length > MAX_UIDS_AT_ONCE) throw new RangeError(`more than ${MAX_UIDS_AT_ONCE} UIDs at once`);
    if (uids.length === 0) return [];
    if (await visible.covers(mailbox, Math.max(...uids))) return uids;
    const below = (await visible.below(mailbox)) ?? 0;
    return uids.filter((uid) => uid < below);
  };
  const some = async (mailbox: ObjectId, filter: object, fields: object): Promise<MessageDocument[]> => {
    const found = await messages
      .find({ mailbox, ...filter })
      .project<MessageDocument>(fields)
      .sort({ uid: 1 })
      .batchSize(BATCH)
      .toArray();
    if (found.every(({ teal }) => teal)) return found;
    const adopted = await Promise.all(found.map(async (each) => (each.teal ? each : adopt(each._id))));
    return adopted.filter((each) => each !== undefined);
  };

  return {
    snapshot: async (id) => {
      const _id = objectId(id);
      const mailbox = _id && (await mailboxes.findOne({ _id }, { projection: counters }));
      if (!mailbox) return undefined;
      visible.saw(mailbox);
      const rows = await messages
        .find({ mailbox: _id, uid: { $lt: mailbox.uidNext } })
        .project<Pick<MessageDocument, 'uid' | 'unseen'>>({ _id: 0, uid: 1, unseen: 1 })
        .sort({ uid: 1 })
        .toArray();
      return {
        uidValidity: mailbox.uidValidity,
        uidNext: mailbox.uidNext,
        highestModseq: mailbox.modifyIndex,
        uids: rows.map(({ uid }) => uid),
        firstUnseen: rows.find(({ unseen }) => unseen)?.uid,
      };
    },

    get: async (id, uids) => {
      const mailbox = objectId(id);
      if (!mailbox) return [];
      const asked = await shown(mailbox, uids);
      const found = await some(mailbox, { uid: { $in: [...asked] } }, messageFields);
      return found.map(messageOf);
    },

    changedSince: async (id, modseq) => {
      const mailbox = objectId(id);
      const below = mailbox && (await visible.below(mailbox));
      if (!mailbox || below === undefined) return [];
      const found = await some(mailbox, { modseq: { $gt: modseq }, uid: { $lt: below } }, messageFields);
      return found.map(messageOf);
    },

    expungedSince: async (id, modseq) => {
      const _id = objectId(id);
      const mailbox = _id && (await mailboxes.findOne({ _id }, { projection: counters }));
      if (!mailbox) return { uids: [], complete: false };
      const [oldest] = await journal
        .find({ mailbox: _id }, { projection: { modseq: 1 } })
        .sort({ modseq: 1 })
        .limit(1)
        .toArray();
      const entries = await journal
        .find({ mailbox: _id, modseq: { $gt: modseq, $lte: mailbox.modifyIndex }, command: 'EXPUNGE' })
        .project<{ uid: number }>({ uid: 1 })
        .toArray();
      // The database forgets entries of the journal after three hours, the oldest first; each MODSEQ has one.
      const complete = modseq >= (oldest ? oldest.modseq - 1 : mailbox.modifyIndex);
      const uids = [...new Set(entries.map(({ uid }) => uid))].sort((one, other) => one - other);
      return { uids, complete };
    },

    headers: async (id, uids) => {
      const mailbox = objectId(id);
      if (!mailbox) return new Map();
      const asked = await shown(mailbox, uids);
      const found = await some(mailbox, { uid: { $in: [...asked] } }, { ...messageFields, 'teal.head': 1 });
      const blocks = await Promise.all(
        found.map(async ({ uid, teal }): Promise<[number, Buffer] | undefined> => {
          if (teal?.head) return [uid, teal.head.buffer];
          // Too long for a document.
          await using body = await open(mailbox, uid);
          return body && [uid, await body.read(0, body.headerSize)];
        }),
      );
      return new Map(blocks.filter((block) => block !== undefined));
    },

    body: async (id, uid) => {
      const mailbox = objectId(id);
      return mailbox && (await visible.covers(mailbox, uid)) ? open(mailbox, uid) : undefined;
    },
  };

  async function open(mailbox: ObjectId, uid: number): Promise<Body | undefined> {
    const fields = { size: 1, teal: 1, 'mimeTree.body': 1 };
    const [message] = await some(mailbox, { uid }, fields);
    if (!message?.teal) return undefined;
    const { size, teal, mimeTree } = message;
    const rest = teal.rest ?? mimeTree.body;
    return openContent(core, {
      size,
      headerSize: teal.headerSize,
      ...(teal.head ? { head: teal.head.buffer } : {}),
      ...(rest ? { rest: rest.buffer } : {}),
      // Undefined where it is expunged between the two looks.
      ...(teal.file ? { file: teal.file } : {}),
    });
  }
}

const counters = { uidNext: 1, modifyIndex: 1, uidValidity: 1 } satisfies Partial<
  Record<keyof MailboxDocument, 1>
>;

export function messageOf({ uid, modseq, flags, size, idate, teal }: MessageDocument): Message {
  return {
    uid,
    modseq,
    flags,
    size,
    headerSize: teal?.headerSize ?? size,
    internalDate: idate.getTime(),
    saveDate: teal?.saved ?? idate.getTime(),
  };
}
