import { existsSync } from 'node:fs';
import { MOVING, StoreUnavailable } from '../contract.ts';
import type { MovedAccount, MovedMessage, MovedPushJob, MovedQueued, MoveSource } from '../contract.ts';
import { createBodyFiles, readFully } from './body-files.ts';
import type { BodyFiles } from './body-files.ts';
import { openForReading, reading } from './database.ts';
import type { Blob, Database } from './database.ts';
import { pathsOf } from './directory.ts';
import { lockDirectory } from './lock.ts';
import { checkIsNewest } from './migrate.ts';
import { allSignUpTokens } from './reads/sign-up-tokens.ts';
import { accountColumns, mailboxColumns, messageColumns, toAccount, toMailbox, toMessage } from './rows.ts';
import type { AccountRow, FullMailboxRow, MessageRow } from './rows.ts';

/** Rows read at once; of messages without their bytes, which come one message at a time. */
const PAGE = 100;

/**
 * The SQLite store of a data directory, to be moved: read only, and no Teal can start with it until this is disposed of.
 * Throws, with a text for the operator, where there is none, where a Teal is running with it, and where its schema is old.
 */
export async function openSqliteSource(dataDir: string): Promise<MoveSource> {
  const paths = pathsOf(dataDir);
  if (!existsSync(paths.database)) throw new Error(`there is no store in ${paths.directory}`);
  using opening = new DisposableStack();
  opening.use(lockDirectory(paths.directory));
  const database = opening.use(openForReading(paths.database));
  checkIsNewest(database);
  const files = createBodyFiles(paths.bodies, () => {});
  const open = opening.move();
  return { ...readAll(database, files), [Symbol.asyncDispose]: async () => open.dispose() };
}

/** All of MoveSource on this connection but its end. */
export function readAll(database: Database, files: BodyFiles): Omit<MoveSource, typeof Symbol.asyncDispose> {
  return {
    accounts: () => accounts(database),
    messages: (address, mailbox, afterUid) => messages(database, files, address, mailbox, afterUid),
    pushJobs: () => pushJobs(database),
    queue: () => queue(database, files),
    values: async () =>
      new Map(
        reading(() =>
          database
            .all<{ key: string; value: string }>('SELECT key, value FROM value WHERE key != ?', MOVING)
            .map(({ key, value }) => [key, value] as const),
        ),
      ),
    signUpTokens: async () => reading(() => allSignUpTokens(database)),
    lastUidValidity: async () =>
      reading(() => database.get<{ value: number }>("SELECT value FROM counter WHERE name = 'uid_validity'"))
        ?.value ?? 0,
  };
}

/** All that `page` gives, asked for again with the last one until it gives none. */
async function* paged<Row>(page: (last: Row | undefined) => Row[]): AsyncGenerator<Row> {
  let rows = reading(() => page(undefined));
  while (rows.length > 0) {
    yield* rows;
    const last = rows.at(-1);
    rows = reading(() => page(last));
  }
}

async function* accounts(database: Database): AsyncGenerator<MovedAccount> {
  const rows = paged<AccountRow>((last) =>
    database.all(
      `SELECT ${accountColumns} FROM account WHERE address > ? ORDER BY address LIMIT ${PAGE}`,
      last?.address ?? '',
    ),
  );
  for await (const row of rows) {
    const { id: _, ...account } = toAccount(row);
    yield reading(() => ({
      ...account,
      tokens: database.all<{ token: string; setAt: number }>(
        'SELECT token, set_at AS setAt FROM device_token WHERE account = ?',
        row.id,
      ),
      mailboxes: database
        .all<FullMailboxRow>(`SELECT ${mailboxColumns} FROM mailbox WHERE account = ?`, row.id)
        .map((mailbox) => {
          const { id: _id, account: _account, ...moved } = toMailbox(mailbox);
          return moved;
        }),
    }));
  }
}

interface FullMessageRow extends MessageRow {
  readonly file: string | null;
  readonly body: number;
}

async function* messages(
  database: Database,
  files: BodyFiles,
  address: string,
  mailbox: string,
  afterUid: number,
): AsyncGenerator<MovedMessage> {
  const rows = paged<FullMessageRow>((last) =>
    database.all(
      `SELECT ${messageColumns}, m.body, body.file FROM message m JOIN body ON body.id = m.body
       WHERE m.mailbox = (SELECT b.id FROM mailbox b JOIN account a ON a.id = b.account WHERE a.address = ? AND b.name = ?)
         AND m.uid > ? ORDER BY m.uid LIMIT ${PAGE}`,
      address,
      mailbox,
      last?.uid ?? afterUid,
    ),
  );
  for await (const row of rows)
    yield {
      ...toMessage(row),
      message: await bytesOf(database, files, row),
    };
}

async function bytesOf(
  database: Database,
  files: BodyFiles,
  { file, body, size }: { readonly file: string | null; readonly body: number; readonly size: number },
): Promise<Buffer> {
  return file === null ? inline(database, body) : await inFile(files, file, size);
}

function inline(database: Database, body: number): Buffer {
  const row = reading(() =>
    database.get<{ header: Blob; text: Blob }>('SELECT header, text FROM body WHERE id = ?', body),
  );
  if (!row) throw new StoreUnavailable('a message has no body');
  return Buffer.concat([row.header, row.text]);
}

async function inFile(files: BodyFiles, name: string, size: number): Promise<Buffer> {
  await using file = await files.open(name);
  if (!file) throw new StoreUnavailable(`the body file ${name} is missing`);
  return await readFully(file, 0, size);
}

async function* pushJobs(database: Database): AsyncGenerator<MovedPushJob> {
  // A message that came since the claim makes a job a new one; the lease of a claim ends with it.
  yield* paged<MovedPushJob>((last) =>
    database.all(
      `SELECT token, CASE WHEN again THEN 0 ELSE attempts END AS attempts, since,
         CASE WHEN claim = '' THEN due ELSE since END AS due
       FROM push_job WHERE token > ? ORDER BY token LIMIT ${PAGE}`,
      last?.token ?? '',
    ),
  );
}

interface QueuedRow {
  readonly id: string;
  readonly message: number;
  readonly sender: string;
  readonly queuedAt: number;
  readonly keys: string | null;
  readonly fields: string | null;
  readonly body: number;
  readonly size: number;
  readonly headerSize: number;
  readonly file: string | null;
}

async function* queue(database: Database, files: BodyFiles): AsyncGenerator<MovedQueued> {
  // Digits enough that the order of texts is that of numbers; one that is being moved here has the id of its source.
  const rows = paged<QueuedRow>((last) =>
    database.all(
      `SELECT coalesce(q.moved, printf('%016d', q.id)) AS id, q.id AS message, q.sender, q.queued_at AS queuedAt,
         q.signature_keys AS keys, q.signature_fields AS fields,
         q.body, body.size, body.header_size AS headerSize, body.file
       FROM queue_message q JOIN body ON body.id = q.body
       WHERE q.id > ? ORDER BY q.id LIMIT ${PAGE}`,
      last?.message ?? 0,
    ),
  );
  for await (const { id, message, sender, queuedAt, headerSize, keys, fields, ...place } of rows)
    yield {
      id,
      sender,
      queuedAt,
      headerSize,
      message: await bytesOf(database, files, place),
      signature: keys === null || fields === null ? undefined : { keys, fields },
      // What is claimed is due again: who had it is gone.
      rows: reading(() =>
        database.all<MovedQueued['rows'][number]>(
          `SELECT recipient, destination, attempts, CASE WHEN claimed THEN ? ELSE due END AS due, reason
           FROM queue_row WHERE message = ? ORDER BY recipient`,
          queuedAt,
          message,
        ),
      ),
    };
}
