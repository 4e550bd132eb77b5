import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { AccountId, MailboxId, Store } from '../../../src/store/contract.ts';
import { openTestStore } from '../../harness/store.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'teal-open-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const bodies = () => readdirSync(join(dataDir, 'bodies'));
const open = (overrides: Parameters<typeof openTestStore>[0] = {}) =>
  openTestStore({ dataDir, ...overrides });

/** Whether any file of the store has these bytes. In another process: closing a file here would drop SQLite's locks. */
function anyFileHas(bytes: string): boolean {
  return spawnSync('grep', ['-rqF', '--', bytes, dataDir]).status === 0;
}

/** A message whose text can be found again; above 256 KB it is in a file. */
function marked(mark: string, size = 1000): Buffer {
  return Buffer.from(`Subject: s\r\n\r\n${mark}${'x'.repeat(size)}${mark}`);
}

async function inboxOf(store: Store, address = 'a@x'): Promise<{ account: AccountId; inbox: MailboxId }> {
  const { account } = await store.accounts.create(address, 'h', 0);
  const inbox = await store.mailboxes.find(account.id, 'INBOX');
  assert.ok(inbox);
  return { account: account.id, inbox: inbox.id };
}

function deliver(store: Store, account: AccountId, message: Buffer, flags: string[] = []) {
  return store.accept({ now: 0, message, headerSize: 14, deliveries: [{ account, push: false, flags }] });
}

/** Asks the database behind the store's back, when it is closed. */
function query(sql: string): unknown[] {
  using database = new DatabaseSync(join(dataDir, 'store.db'));
  return database.prepare(sql).all();
}

describe('opening', () => {
  test('refuses to begin anew beside the mail of a database that is lost, and touches none of it', async () => {
    {
      await using store = await open();
      const { account } = await inboxOf(store.store);
      await deliver(store.store, account, marked('kept', 300_000));
    }
    const before = bodies();
    assert.equal(before.length, 1);
    for (const lose of [
      () => writeFileSync(join(dataDir, 'store.db'), ''),
      () => rmSync(join(dataDir, 'store.db')),
    ]) {
      lose();
      await assert.rejects(open(), /store\.db is lost, but .*bodies still holds mail/);
      assert.deepEqual(bodies(), before);
    }
  });

  test('finds what was there, whole', async () => {
    const message = marked('small');
    const big = marked('big', 400_000);
    {
      await using opened = await open();
      const { account } = await inboxOf(opened.store);
      await deliver(opened.store, account, message, ['\\Seen', 'k']);
      await deliver(opened.store, account, big);
      await opened.store.values.setOnce('domain', 'example.org');
    }
    await using opened = await open();
    const { store } = opened;
    assert.equal(await store.values.get('domain'), 'example.org');
    const { inbox } = await inboxOf(store);
    const messages = await store.messages.get(inbox, [1, 2]);
    assert.deepEqual(
      messages.map(({ flags, size }) => [flags, size]),
      [
        [['\\Seen', 'k'], message.length],
        [[], big.length],
      ],
    );
    for (const [uid, bytes] of [
      [1, message],
      [2, big],
    ] as const) {
      await using body = await store.messages.body(inbox, uid);
      assert.ok((await body?.read(0, bytes.length))?.equals(bytes));
    }
  });

  test('makes everything for the owner alone, and takes others’ rights off', async () => {
    chmodSync(dataDir, 0o755);
    mkdirSync(join(dataDir, 'bodies'), { mode: 0o755 });
    await using opened = await open();
    const { account } = await inboxOf(opened.store);
    await deliver(opened.store, account, marked('big', 400_000));
    const modes = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).map((name) => {
      const stat = statSync(join(dataDir, name));
      return [name, stat.isDirectory() ? 'directory' : 'file', stat.mode & 0o777] as const;
    });
    assert.equal(statSync(dataDir).mode & 0o777, 0o700);
    for (const [name, kind, mode] of modes) assert.equal(mode, kind === 'file' ? 0o600 : 0o700, name);
    assert.ok(modes.some(([name]) => name === 'store.db-wal'));
  });

  test('is refused while this process has the directory, and possible when it has closed it', async () => {
    {
      await using opened = await open();
      await assert.rejects(open(), /another Teal is running with the data directory/);
      await opened.store.ping();
      await assert.rejects(open(), /another Teal/, 'the attempt has not broken the lock');
    }
    await using again = await open();
    await again.store.ping();
  });

  test('is refused while another process has it, and possible as soon as that one is killed', async () => {
    const program = `
      const { openSqliteStore } = await import(process.argv[1]);
      await openSqliteStore({ dataDir: process.argv[2], quota: 1, onChange: () => {} });
      console.log('open');
    `;
    const entry = new URL('../../../src/store/sqlite/open.ts', import.meta.url).href;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, entry, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [first] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as unknown[];
      assert.equal(String(first), 'open\n');
      await assert.rejects(open(), /another Teal is running/);
    } finally {
      child.kill('SIGKILL');
    }
    await once(child, 'exit');
    await using opened = await open();
    await opened.store.ping();
  });

  test('says why it cannot: a newer schema, another program’s database, a directory that is a file', async () => {
    await (await open())[Symbol.asyncDispose]();
    query('PRAGMA user_version = 99');
    await assert.rejects(open(), /written by a newer Teal \(schema 99/);
    await assert.rejects(open(), /newer Teal/, 'the lock was given back');
    query('PRAGMA user_version = 1');
    query('PRAGMA application_id = 5');
    await assert.rejects(open(), /not made by Teal/);
    writeFileSync(
      join(dataDir, 'store.db'),
      'this is no database, only some text that is long enough to be read',
    );
    await assert.rejects(open(), /not a database/);
    await assert.rejects(openTestStore({ dataDir: join(dataDir, 'store.db') }), /EEXIST|ENOTDIR/);
  });

  test('removes files that no row names, and none that a row names', async () => {
    const big = marked('big', 400_000);
    {
      await using opened = await open();
      const { account } = await inboxOf(opened.store);
      await deliver(opened.store, account, big);
    }
    const [kept] = bodies();
    for (let n = 0; n < 450; n += 1) writeFileSync(join(dataDir, 'bodies', `orphan${n}`), 'crash');
    writeFileSync(join(dataDir, 'bodies', 'half-written.tmp'), 'crash');
    {
      await using opened = await open();
      assert.deepEqual(bodies(), [kept]);
      const { inbox } = await inboxOf(opened.store);
      await using body = await opened.store.messages.body(inbox, 1);
      assert.ok((await body?.read(0, big.length))?.equals(big));
    }
  });

  test('goes on removing what a removed account still held when the process was killed', async () => {
    {
      await using opened = await open();
      const { account } = await inboxOf(opened.store);
      for (let n = 0; n < 3; n += 1) await deliver(opened.store, account, marked('left', 400_000));
    }
    // As the first step of `accounts.remove` leaves it.
    query('UPDATE mailbox SET account = NULL');
    query('DELETE FROM account');
    {
      await using opened = await open();
      await until(() => bodies().length === 0);
      await opened.store.ping();
    }
    assert.deepEqual(query('SELECT id FROM mailbox'), []);
    assert.ok(!anyFileHas('left'));
  });

  test('leaves only the database, the lock and the bodies behind when it is closed', async () => {
    await (await open())[Symbol.asyncDispose]();
    assert.deepEqual(readdirSync(dataDir).sort(), ['bodies', 'lock', 'store.db']);
  });
});

describe('what is deleted', () => {
  const ways = {
    expunged: async (store: Store, inbox: MailboxId) => {
      await store.messages.expunge(inbox, 'all');
    },
    'in a removed account': async (store: Store, _: MailboxId, account: AccountId) =>
      store.accounts.remove(account),
    'in a removed mailbox': async (store: Store, inbox: MailboxId, account: AccountId) => {
      await store.mailboxes.create(account, 'folder', 0);
      const folder = await store.mailboxes.find(account, 'folder');
      assert.ok(folder);
      await store.messages.copy(inbox, [1, 2, 3], folder.id, { move: true, now: 0 });
      await store.mailboxes.remove(folder.id);
    },
  };
  for (const [title, remove] of Object.entries(ways))
    test(`is nowhere in the files any more: ${title}`, async () => {
      await using opened = await open();
      const { store } = opened;
      const { account, inbox } = await inboxOf(store);
      const keeper = await inboxOf(store, 'keeper@x');
      for (const message of [
        marked('tracer-small', 10),
        marked('tracer-pages', 50_000),
        marked('tracer-file', 300_000),
      ])
        await deliver(store, account, message, ['\\Deleted']);
      await deliver(store, keeper.account, marked('kept'));
      for (const mark of ['tracer-small', 'tracer-pages', 'tracer-file', 'kept'])
        assert.ok(anyFileHas(mark), mark);
      await remove(store, inbox, account);
      assert.deepEqual(bodies(), [], 'the file is gone when the promise resolves');
      // The writer truncates its log by itself when it is idle.
      await until(() => !anyFileHas('tracer'));
      assert.ok(anyFileHas('kept'));
      await opened[Symbol.asyncDispose]();
      assert.deepEqual(query('SELECT count(*) AS n FROM body'), [
        Object.assign(Object.create(null), { n: 1 }),
      ]);
    });

  test('gives its room back to the file system, some time after', async () => {
    await using opened = await open();
    const { store } = opened;
    const { account, inbox } = await inboxOf(store);
    const message = marked('room', 200_000);
    for (let n = 0; n < 100; n += 1) await deliver(store, account, message, ['\\Deleted']);
    await until(() => statSync(join(dataDir, 'store.db')).size > 20_000_000);
    await store.messages.expunge(inbox, 'all');
    await until(() => statSync(join(dataDir, 'store.db')).size < 10_000_000, 20_000);
  });
});

test('a plan that is refused leaves no file behind', async () => {
  await using opened = await open({ quota: 1_000_000 });
  const { account, inbox } = await inboxOf(opened.store);
  await assert.rejects(deliver(opened.store, account, marked('x', 1_000_001)), { name: 'OverQuota' });
  await opened.store.accounts.remove(account);
  await deliver(opened.store, account, marked('x', 400_000));
  const message = marked('x', 400_000);
  const result = await opened.store.messages.append(inbox, {
    now: 0,
    message,
    headerSize: 14,
    flags: [],
    internalDate: 0,
  });
  assert.equal(result, 'missing');
  assert.deepEqual(bodies(), []);
});

test('a listener that throws hurts nobody, and is reported', async () => {
  const faults: string[] = [];
  await using opened = await open({
    onChange: () => {
      throw new Error('listener');
    },
    onFault: (where, error) => faults.push(`${where}: ${error.message}`),
  });
  const { account } = await inboxOf(opened.store);
  for (let n = 0; n < 2; n += 1) await deliver(opened.store, account, marked('x'));
  assert.deepEqual(faults, ['store change: listener', 'store change: listener']);
});

test('after every kind of work the sums are right and nothing is left over', async () => {
  {
    await using opened = await open({ quota: 3_000_000 });
    const { store } = opened;
    const everyone = await Promise.all(['a@x', 'b@x', 'c@x'].map((address) => inboxOf(store, address)));
    for (const { account } of everyone) await store.mailboxes.create(account, 'folder', 0);
    const deliveries = everyone.map(({ account }) => ({ account, push: true, flags: ['\\Deleted'] }));
    await Promise.all(
      Array.from({ length: 90 }, async (_, n) => {
        const { account, inbox } = everyone[n % 3] ?? everyone[0]!;
        const folder = (await store.mailboxes.find(account, 'folder'))!.id;
        const message = marked(`${n}`, n % 10 === 0 ? 300_000 : 1000 + n);
        const now = n * 3_600_000;
        if (n % 2 === 0) await store.accept({ now, message, headerSize: 14, deliveries }).catch(() => {});
        else if (n % 5 === 0) await store.messages.expunge(inbox, 'all');
        else await store.messages.copy(inbox, [n, n + 1, 1, 2, 3], folder, { move: n % 3 === 0, now });
      }),
    );
    await store.accounts.remove(everyone[2]!.account);
  }
  const wrong = [
    'SELECT a.id FROM account a WHERE used != (SELECT coalesce(sum(size), 0) FROM message m JOIN mailbox b ON b.id = m.mailbox WHERE b.account = a.id)',
    'SELECT id FROM body WHERE id NOT IN (SELECT body FROM message)',
    'SELECT uid FROM message m JOIN body b ON b.id = m.body WHERE b.size != m.size OR b.header_size != m.header_size',
    'SELECT id FROM mailbox WHERE account IS NULL',
    'SELECT token FROM push_job WHERE token NOT IN (SELECT token FROM device_token)',
    'SELECT uid FROM message m JOIN mailbox b ON b.id = m.mailbox WHERE m.uid >= b.uid_next OR m.modseq > b.highest_modseq',
    'SELECT uid FROM expunged NATURAL JOIN message',
    'PRAGMA foreign_key_check',
  ];
  for (const sql of wrong) assert.deepEqual(query(sql), [], sql);
  assert.deepEqual(
    bodies().sort(),
    query('SELECT file FROM body WHERE file IS NOT NULL ORDER BY file').map(
      (row) => (row as { file: string }).file,
    ),
  );
  assert.equal((query('PRAGMA integrity_check')[0] as { integrity_check: string }).integrity_check, 'ok');
  assert.ok(existsSync(join(dataDir, 'store.db')) && readFileSync(join(dataDir, 'lock')).length === 0);
});

/** Waits for what the store does in its own time. */
async function until(condition: () => boolean, patience = 10_000): Promise<void> {
  const deadline = performance.now() + patience;
  while (!condition()) {
    if (performance.now() > deadline)
      throw new Error(`still not so after ${patience} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
