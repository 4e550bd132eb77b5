import type { Db, IndexDescription } from 'mongodb';
import type { Collections } from './connect.ts';

/** Indexes of WildDuck's that Teal's own queries need, under WildDuck's names, so that its programs find them made. */
const wildducks: Readonly<Record<string, readonly IndexDescription[]>> = {
  users: [
    { name: 'users_dotless', key: { unameview: 1 }, unique: true },
    // WildDuck looks here when it makes one.
    { name: 'users', key: { username: 1 } },
  ],
  addresses: [
    { name: 'address_dotless', key: { addrview: 1 }, unique: true },
    { name: 'user', key: { user: 1 } },
  ],
  mailboxes: [{ name: 'user_path', key: { user: 1, path: 1 }, unique: true }],
  messages: [
    { name: 'mailbox_modseq_uid', key: { mailbox: 1, modseq: 1, uid: 1 } },
    { name: 'user_searchable_flag', key: { user: 1, searchable: 1 } },
  ],
  threads: [{ name: 'thread', key: { user: 1, ids: 1 } }],
  journal: [
    { name: 'mailbox_modseq', key: { mailbox: 1, modseq: 1 } },
    { name: 'user_limit_id', key: { user: 1, _id: 1 } },
    { name: 'journal_autoexpire', key: { created: 1 }, expireAfterSeconds: 10_800 },
  ],
  'attachments.chunks': [{ name: 'files_id_1_n_1', key: { files_id: 1, n: 1 }, unique: true }],
};

/** Makes all indexes that are missing. */
export async function createIndexes(mongo: Db, collections: Collections): Promise<void> {
  for (const [name, indexes] of Object.entries(wildducks))
    await mongo.collection(name).createIndexes([...indexes]);
  await collections.messages.createIndexes([
    // No UID is given twice, whatever happens to a lock. WildDuck's own index (mailbox, uid, _id) is not unique.
    { name: 'teal_mailbox_uid', key: { mailbox: 1, uid: 1 }, unique: true },
    {
      name: 'teal_file',
      key: { 'teal.file': 1 },
      partialFilterExpression: { 'teal.file': { $exists: true } },
    },
  ]);
  await collections.plans.createIndexes([
    { name: 'at', key: { at: 1 } },
    { name: 'file', key: { file: 1 }, partialFilterExpression: { file: { $exists: true } } },
    { name: 'run', key: { run: 1, _id: 1 }, partialFilterExpression: { run: { $exists: true } } },
    { name: 'moved', key: { moved: 1 }, unique: true, partialFilterExpression: { moved: { $exists: true } } },
  ]);
  await collections.queue.createIndexes([
    { name: 'destination_due', key: { destination: 1, due: 1, message: 1, number: 1 } },
    { name: 'message', key: { message: 1, destination: 1, due: 1 } },
  ]);
  await collections.queueDestinations.createIndexes([{ name: 'due', key: { due: 1, _id: 1 } }]);
  await collections.files.createIndexes([
    { name: 'teal', key: { uploadDate: 1 }, partialFilterExpression: { 'metadata.teal': true } },
  ]);
  await collections.tokens.createIndexes([{ name: 'token', key: { 'tokens.token': 1 } }]);
  await collections.signUpTokens.createIndexes([
    { name: 'id', key: { id: 1 }, unique: true },
    { name: 'making', key: { 'making.at': 1 } },
  ]);
  await collections.push.createIndexes([
    { name: 'due', key: { due: 1 } },
    { name: 'claim', key: { claim: 1 } },
  ]);
}
