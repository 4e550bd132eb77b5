import type { ObjectId } from 'mongodb';
import { MAX_MAILBOXES } from '../contract.ts';
import type { Mailbox, Mailboxes } from '../contract.ts';
import type { Core } from './core.ts';
import type { MailboxDocument } from './documents.ts';
import type { Inboxes } from './inboxes.ts';
import { accountId, mailboxId, objectId } from './ids.ts';
import type { Removal } from './removal.ts';
import { rename } from './repair.ts';
import { nextUidValidity } from './uid-validity.ts';

/** Which mailboxes an account has is changed with its INBOX held, so that of two that do so one is first. */
export function createMailboxes(core: Core, inboxes: Inboxes, removal: Removal): Mailboxes {
  const { collections, exclusive, wildduck } = core;
  const { mailboxes, messages } = collections;

  const find = async (filter: object) => mailboxes.findOne(filter, { projection: { teal: 0 } });
  const withAccount = async <T>(user: ObjectId, work: (inbox: MailboxDocument) => Promise<T>) => {
    const inbox = await inboxes.of(user);
    return inbox && exclusive.run(inbox, ({ mailbox }) => work(mailbox));
  };

  return {
    list: async (account) => {
      const user = objectId(account);
      const found = user ? await mailboxes.find({ user }, { projection: { teal: 0 } }).toArray() : [];
      return found.map(mailboxOf).sort(inboxFirst).slice(0, MAX_MAILBOXES);
    },
    find: async (account, name) => {
      const user = objectId(account);
      const found = user && (await find({ user, path: name }));
      return found ? mailboxOf(found) : undefined;
    },
    status: async (id) => {
      const _id = objectId(id);
      const found = _id && (await find({ _id }));
      if (!found) return undefined;
      const [counts] = await messages
        .aggregate<{ messages: number; unseen: number; size: number }>([
          { $match: { mailbox: _id, uid: { $lt: found.uidNext } } },
          {
            $group: {
              _id: null,
              messages: { $sum: 1 },
              unseen: { $sum: { $cond: ['$unseen', 1, 0] } },
              size: { $sum: '$size' },
            },
          },
        ])
        .toArray();
      return {
        ...mailboxOf(found),
        messages: Number(counts?.messages ?? 0),
        unseen: Number(counts?.unseen ?? 0),
        size: Number(counts?.size ?? 0),
      };
    },

    create: async (account, name, now) => {
      const user = objectId(account);
      const made =
        user &&
        (await withAccount(user, async () => {
          if (await find({ user, path: name })) return 'exists';
          if ((await mailboxes.countDocuments({ user })) >= MAX_MAILBOXES) return 'too-many';
          const uidValidity = await nextUidValidity(collections, now);
          await mailboxes.insertOne(await wildduck.newMailbox({ user, path: name, uidValidity }));
          return 'created';
        }));
      // An account that is gone has room for none.
      return made ?? 'too-many';
    },

    remove: async (id) => {
      const _id = objectId(id);
      return _id ? removal.mailbox(_id) : 'missing';
    },

    rename: async (id, name) => {
      const _id = objectId(id);
      const asked = _id && (await find({ _id }));
      const renamed =
        asked &&
        (await withAccount(asked.user, async (inbox) => {
          const all = await mailboxes.find({ user: asked.user }, { projection: { path: 1 } }).toArray();
          const old = all.find((other) => other._id.equals(_id))?.path;
          if (old === undefined) return 'missing';
          const moving = all.filter(({ path }) => path === old || path.startsWith(`${old}/`));
          const renames = moving.map((other) => ({ id: other._id, to: name + other.path.slice(old.length) }));
          const staying = new Set(all.filter((other) => !moving.includes(other)).map(({ path }) => path));
          if (renames.some(({ to }) => staying.has(to))) return 'exists';
          if (old === name) return 'renamed';
          await mailboxes.updateOne({ _id: inbox._id }, { $set: { 'teal.renames': renames } });
          await rename({ ...inbox, teal: { fence: 0, renames } }, collections);
          return 'renamed';
        }));
      return renamed ?? 'missing';
    },

    subscribe: async (id, subscribed) => {
      const _id = objectId(id);
      if (_id) await mailboxes.updateOne({ _id }, { $set: { subscribed } });
    },
  };
}

function mailboxOf(document: MailboxDocument): Mailbox {
  return {
    id: mailboxId(document._id),
    account: accountId(document.user),
    name: document.path,
    uidValidity: document.uidValidity,
    uidNext: document.uidNext,
    highestModseq: document.modifyIndex,
    subscribed: document.subscribed,
  };
}

function inboxFirst(one: Mailbox, other: Mailbox): number {
  if (one.name === 'INBOX' || other.name === 'INBOX') return one.name === 'INBOX' ? -1 : 1;
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}
