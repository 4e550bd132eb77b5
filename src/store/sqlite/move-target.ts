import { MOVING } from '../contract.ts';
import type { MovedAccount, MovedMessage, MovedQueued, MoveTarget } from '../contract.ts';
import { prepareBody } from './bodies.ts';
import { createBodyFiles } from './body-files.ts';
import type { BodyFiles } from './body-files.ts';
import { BUSY_TIMEOUT, openForWriting, reading } from './database.ts';
import type { Database } from './database.ts';
import { pathsOf, takeDirectory } from './directory.ts';
import { pack } from './flags.ts';
import { truncateLog } from './housekeeping.ts';
import { migrate } from './migrate.ts';
import { readAll } from './move-source.ts';
import { bodySize, insertBody } from './writes/bodies.ts';
import type { NewBody } from './writes/bodies.ts';
import { addUsed, insertMessage } from './writes/messages.ts';
import { insertQueueMessage, insertQueueRow } from './writes/queue.ts';
import { insertSignUpToken } from './writes/sign-up-tokens.ts';

/** A data directory to be filled by `teal move`, made if it is missing; rejects where a Teal is running with it. */
export async function openSqliteTarget(dataDir: string): Promise<MoveTarget> {
  const paths = pathsOf(dataDir);
  using opening = new DisposableStack();
  opening.use(await takeDirectory(paths));
  const database = opening.use(openForWriting(paths.database));
  migrate(database);
  const files = createBodyFiles(paths.bodies, () => {});
  const open = opening.move();
  const write = async (work: (database: Database) => void) => inTransaction(database, work);

  return {
    ...readAll(database, files),
    begin: (source) => write(() => begin(database, source)),
    putAccount: (account) => write(() => putAccount(database, account)),
    lastUid: async (address, mailbox) => {
      const last = database.get<{ uid: number | null }>(
        'SELECT max(uid) AS uid FROM message WHERE mailbox = ?',
        mailboxOf(database, address, mailbox).id,
      );
      return last?.uid ?? 0;
    },
    putMessages: (address, mailbox, messages) => putMessages(database, files, address, mailbox, messages),
    putPushJobs: (jobs) =>
      write(() => {
        for (const { token, attempts, since, due } of jobs)
          database.run(
            `INSERT INTO push_job (token, attempts, since, due, claim, again) VALUES (?, ?, ?, ?, '', 0)
             ON CONFLICT DO NOTHING`,
            token,
            attempts,
            since,
            due,
          );
      }),
    putQueued: (queued) => putQueued(database, files, queued),
    putValues: (values) =>
      write(() => {
        for (const [key, value] of values) putValue(database, key, value);
      }),
    putSignUpTokens: (tokens) =>
      write(() => {
        for (const token of tokens) insertSignUpToken(database, token);
      }),
    putLastUidValidity: (uidValidity) =>
      write(() =>
        database.run("UPDATE counter SET value = max(value, ?) WHERE name = 'uid_validity'", uidValidity),
      ),
    finish: async () => {
      await write(() => {
        database.run('UPDATE queue_message SET moved = NULL WHERE moved IS NOT NULL');
        database.run('DELETE FROM value WHERE key = ?', MOVING);
      });
      truncateLog(database, BUSY_TIMEOUT, BUSY_TIMEOUT);
    },
    [Symbol.asyncDispose]: async () => open.dispose(),
  };
}

/** Durable when it returns; where `work` throws nothing of it is kept. */
function inTransaction<Result>(database: Database, work: (database: Database) => Result): Result {
  return reading(() => {
    database.exec('BEGIN IMMEDIATE');
    try {
      const result = work(database);
      database.exec('COMMIT');
      return result;
    } finally {
      if (database.inTransaction) database.exec('ROLLBACK');
    }
  });
}

function putValue(database: Database, key: string, value: string): void {
  database.run(
    'INSERT INTO value (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    key,
    value,
  );
}

function begin(database: Database, source: string): void {
  const begun = database.get<{ value: string }>('SELECT value FROM value WHERE key = ?', MOVING)?.value;
  if (begun === source) return;
  if (begun !== undefined)
    throw new Error(
      `the SQLite store in data_dir is being filled from ${begun}: finish that move, or remove data_dir`,
    );
  const holds = database.get<{ any: number }>(
    `SELECT EXISTS (SELECT 1 FROM account) OR EXISTS (SELECT 1 FROM value)
       OR EXISTS (SELECT 1 FROM queue_message) OR EXISTS (SELECT 1 FROM sign_up_token) AS any`,
  );
  if (holds?.any !== 0)
    throw new Error('the SQLite store in data_dir is not empty: only an empty one can be filled');
  putValue(database, MOVING, source);
}

function putAccount(database: Database, account: MovedAccount): void {
  const row = database.get<{ id: number }>(
    `INSERT INTO account (address, password_hash, created_day, last_login_day, accepts_cleartext)
     VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`,
    account.address,
    account.passwordHash,
    account.createdDay,
    account.lastLoginDay,
    account.acceptsCleartext ? 1 : 0,
  );
  // An account comes with all of its mailboxes, or it is not there.
  if (!row) return;
  for (const { name, uidValidity, uidNext, highestModseq, subscribed } of account.mailboxes)
    database.run(
      `INSERT INTO mailbox (account, name, uid_validity, uid_next, highest_modseq, expunged_floor, subscribed)
       VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)`,
      row.id,
      name,
      uidValidity,
      uidNext,
      highestModseq,
      subscribed ? 1 : 0,
    );
  for (const { token, setAt } of account.tokens)
    database.run('INSERT INTO device_token (account, token, set_at) VALUES (?, ?, ?)', row.id, token, setAt);
}

function mailboxOf(database: Database, address: string, name: string): { id: number; account: number } {
  const row = database.get<{ id: number; account: number }>(
    `SELECT b.id, b.account FROM mailbox b JOIN account a ON a.id = b.account WHERE a.address = ? AND b.name = ?`,
    address,
    name,
  );
  if (!row) throw new Error(`${address} has no mailbox ${name}`);
  return row;
}

async function putMessages(
  database: Database,
  files: BodyFiles,
  address: string,
  mailboxName: string,
  messages: readonly MovedMessage[],
): Promise<void> {
  const mailbox = mailboxOf(database, address, mailboxName);
  // Where the process dies before the commit, the files are orphans, which the store removes when it is opened.
  const prepared: { moved: MovedMessage; body: NewBody }[] = [];
  for (const moved of messages)
    prepared.push({ moved, body: (await prepareBody(files, moved.message, moved.headerSize)).body });
  inTransaction(database, () => {
    for (const { moved, body } of prepared)
      insertMessage(database, {
        ...moved,
        ...pack(moved.flags),
        mailbox: mailbox.id,
        size: bodySize(body),
        body: insertBody(database, body),
      });
    const bytes = prepared.reduce((sum, { body }) => sum + bodySize(body), 0);
    addUsed(database, mailbox.account, bytes);
  });
}

async function putQueued(database: Database, files: BodyFiles, queued: MovedQueued): Promise<void> {
  const { id, message, headerSize, rows } = queued;
  if (reading(() => database.get('SELECT 1 FROM queue_message WHERE moved = ?', id))) return;
  const { body } = await prepareBody(files, message, headerSize);
  inTransaction(database, () => {
    const row = insertQueueMessage(database, { ...queued, moved: id, body: insertBody(database, body) });
    for (const [number, each] of rows.entries()) insertQueueRow(database, row, number, each);
  });
}
