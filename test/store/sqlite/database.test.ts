import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  isDiskTrouble,
  openForReading,
  openForWriting,
  reading,
} from '../../../src/store/sqlite/database.ts';
import { migrate, migrations } from '../../../src/store/sqlite/migrate.ts';
import { writes } from '../../../src/store/sqlite/operations.ts';
import { StoreUnavailable } from '../../../src/store/contract.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'teal-database-'));
  path = join(directory, 'store.db');
});
afterEach(() => rmSync(directory, { recursive: true }));

const only = (row: object | undefined): unknown => Object.values(row ?? {})[0];

describe('the connection that writes', () => {
  test('makes every commit durable before it returns, and leaves nothing of what is deleted', () => {
    using database = openForWriting(path);
    migrate(database);
    const pragmas = {
      journal_mode: 'wal',
      // FULL: in WAL the log is synced at each commit. NORMAL would lose acknowledged mail when the power fails.
      synchronous: 2,
      secure_delete: 1,
      foreign_keys: 1,
      page_size: 8192,
      auto_vacuum: 2,
    };
    for (const [name, value] of Object.entries(pragmas))
      assert.equal(only(database.get(`PRAGMA ${name}`)), value, name);
  });

  test('refuses a NULL where a value is due, and rows whose owner is missing', () => {
    using database = openForWriting(path);
    migrate(database);
    assert.throws(() => database.run('INSERT INTO value (key, value) VALUES (?, ?)', 'only one'), /NOT NULL/);
    assert.throws(
      () => database.run("INSERT INTO mailbox (account, name, uid_validity) VALUES (7, 'x', 1)"),
      /FOREIGN KEY/,
    );
    assert.throws(
      () => database.run("INSERT INTO counter (name, value) VALUES ('x', 'text')"),
      /cannot store/,
    );
  });
});

test('the connection that reads cannot write', () => {
  using writer = openForWriting(path);
  migrate(writer);
  using reader = openForReading(path);
  assert.throws(() => reader.run("INSERT INTO value (key, value) VALUES ('a', 'b')"), /readonly/);
  writer.run("INSERT INTO value (key, value) VALUES ('a', 'b')");
  assert.equal(only(reader.get('SELECT value FROM value')), 'b', 'and sees at once what was committed');
});

test('trouble with the disk is told from faults of ours', () => {
  const sqlite = (errcode: number) => Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode });
  // FULL, IOERR, IOERR_FSYNC, BUSY, CANTOPEN, CORRUPT, NOTADB
  for (const code of [13, 10, 1034, 5, 14, 11, 26]) assert.ok(isDiskTrouble(sqlite(code)), String(code));
  // ERROR, CONSTRAINT, CONSTRAINT_UNIQUE, MISMATCH
  for (const code of [1, 19, 2067, 20]) assert.ok(!isDiskTrouble(sqlite(code)), String(code));
  assert.ok(!isDiskTrouble(new TypeError('x')));
  const failing = (error: Error) => () =>
    reading(() => {
      throw error;
    });
  assert.throws(failing(sqlite(10)), StoreUnavailable);
  assert.throws(failing(sqlite(19)), { code: 'ERR_SQLITE_ERROR' });
});

describe('migration', () => {
  test('brings an empty database to the newest schema, and does nothing the second time', () => {
    using database = openForWriting(path);
    migrate(database);
    assert.equal(only(database.get('PRAGMA user_version')), migrations.length);
    writes.setValue({ database }, { key: 'kept', value: 'yes' });
    migrate(database);
    assert.equal(only(database.get('SELECT value FROM value')), 'yes');
  });

  test('runs only the steps that are missing; one that fails leaves the schema as it was', () => {
    using database = openForWriting(path);
    migrate(database);
    const next = [...migrations, 'CREATE TABLE second (a) STRICT'];
    assert.throws(() => migrate(database, next), /missing datatype/);
    const half = [...migrations, 'CREATE TABLE second (a INTEGER) STRICT; CREATE TABLE account (a)'];
    assert.throws(() => migrate(database, half), /already exists/);
    assert.equal(only(database.get('PRAGMA user_version')), migrations.length);
    migrate(database, [...migrations, 'CREATE TABLE second (a INTEGER) STRICT']);
    assert.equal(only(database.get('PRAGMA user_version')), migrations.length + 1);
  });

  test('refuses a newer schema, and another program’s database, in words', () => {
    {
      using database = openForWriting(path);
      migrate(database, [...migrations, 'CREATE TABLE future (a INTEGER) STRICT']);
      const known = migrations.length;
      assert.throws(
        () => migrate(database),
        new RegExp(`written by a newer Teal \\(schema ${known + 1}, this one knows ${known}\\)`),
      );
    }
    using other = openForWriting(join(directory, 'other.db'));
    other.exec('CREATE TABLE theirs (a)');
    assert.throws(() => migrate(other), /not made by Teal/);
  });
});

test('every table is STRICT', () => {
  using database = openForWriting(path);
  migrate(database);
  const loose = database.all<{ name: string }>(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' AND NOT strict",
  );
  assert.deepEqual(loose, []);
});
