import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { AccountId } from '../../../src/store/contract.ts';
import { runBatch } from '../../../src/store/sqlite/batch.ts';
import { openForWriting } from '../../../src/store/sqlite/database.ts';
import type { Database } from '../../../src/store/sqlite/database.ts';
import { migrate } from '../../../src/store/sqlite/migrate.ts';
import type { WriteArgument, WriteName } from '../../../src/store/sqlite/operations.ts';
import type { WriteCall } from '../../../src/store/sqlite/protocol.ts';

let directory: string;
let database: Database;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'teal-batch-'));
  database = openForWriting(join(directory, 'store.db'), 50);
  migrate(database);
});
afterEach(() => {
  database[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

let nextId = 0;
function call<Name extends WriteName>(
  name: Name,
  argument: WriteArgument<Name>,
): { id: number; call: WriteCall } {
  return { id: ++nextId, call: { name, argument, bytes: 0 } };
}
const run = (...calls: { id: number; call: WriteCall }[]) => runBatch(database, 1_000_000, calls);
const delivery = (to: string, size: number, file?: string) =>
  call('accept', {
    now: 1000,
    body: file
      ? { kind: 'file', file, size, headerSize: 0, header: new Uint8Array(0) }
      : { kind: 'inline', bytes: new Uint8Array(size), headerSize: 0 },
    deliveries: [{ account: to as AccountId, push: true, flags: [] }],
  });
const value = () => database.all<{ key: string }>('SELECT key FROM value').map(({ key }) => key);

describe('a batch', () => {
  test('answers every call in order, and is committed when it returns', () => {
    const { answers } = run(
      call('setValue', { key: 'a', value: '1' }),
      call('setValueOnce', { key: 'a', value: '2' }),
      call('ping', undefined),
    );
    assert.deepEqual(
      answers.map((answer) => (answer.kind === 'done' ? answer.value : answer)),
      [undefined, '1', undefined],
    );
    assert.ok(!database.inTransaction);
  });

  test('lets a call that fails answer for itself: nothing of it stays, the others stand', () => {
    run(call('createAccount', { address: 'a@x', passwordHash: 'h', now: 0 }));
    const broken = delivery('1', 10);
    // Taken for the UID, the body and MODSEQ; then the schema refuses the row: a time is an integer.
    Object.assign(broken.call.argument as object, { now: 1.5 });
    const { answers, changes } = run(
      call('setValue', { key: 'before', value: '1' }),
      delivery('1', 10),
      broken,
      call('setValue', { key: 'after', value: '1' }),
    );
    assert.deepEqual(
      answers.map(({ kind }) => kind),
      ['done', 'done', 'fault', 'done'],
    );
    assert.deepEqual(value(), ['after', 'before']);
    assert.equal(changes.length, 1, 'the change of the failed one is not told');
    assert.equal(database.get<{ count: number }>('SELECT count(*) AS count FROM message')?.count, 1);
    assert.equal(database.get<{ count: number }>('SELECT count(*) AS count FROM body')?.count, 1);
    assert.equal(database.get<{ uid: number }>('SELECT uid_next AS uid FROM mailbox')?.uid, 2);
    assert.equal(database.get<{ used: number }>('SELECT used FROM account')?.used, 10);
  });

  test('is rejected whole when the disk is full, and the next one goes on as soon as there is room', () => {
    run(call('createAccount', { address: 'a@x', passwordHash: 'h', now: 0 }));
    const pages = database.get<{ page_count: number }>('PRAGMA page_count')?.page_count ?? 0;
    database.get(`PRAGMA max_page_count = ${pages + 4}`);
    const { answers, changes, unlink } = run(
      call('setValue', { key: 'early', value: '1' }),
      delivery('1', 200_000),
      call('setValue', { key: 'late', value: '1' }),
    );
    assert.deepEqual(
      answers.map((answer) => [answer.kind, answer.kind === 'done' ? '' : answer.message]),
      Array.from({ length: 3 }, () => ['unavailable', 'database or disk is full']),
    );
    assert.deepEqual([changes, unlink], [[], []]);
    assert.deepEqual(value(), []);
    assert.ok(!database.inTransaction);
    assert.deepEqual(
      run(call('ping', undefined)).answers.map(({ kind }) => kind),
      ['done'],
      'what fits is written all the while',
    );
    database.get('PRAGMA max_page_count = 1000000');
    assert.deepEqual(
      run(delivery('1', 200_000)).answers.map(({ kind }) => kind),
      ['done'],
    );
  });

  test('is rejected whole when another process holds the database', () => {
    using other = openForWriting(join(directory, 'store.db'), 50);
    other.exec('BEGIN IMMEDIATE');
    assert.deepEqual(
      run(call('ping', undefined), call('ping', undefined)).answers.map(({ kind }) => kind),
      ['unavailable', 'unavailable'],
    );
    other.exec('COMMIT');
    assert.deepEqual(
      run(call('ping', undefined)).answers.map(({ kind }) => kind),
      ['done'],
    );
  });

  test('tells of push jobs once, after all else', () => {
    run(call('createAccount', { address: 'a@x', passwordHash: 'h', now: 0 }));
    run(call('addToken', { account: '1' as AccountId, token: 't', now: 0 }));
    const { changes } = run(delivery('1', 1), delivery('1', 2), delivery('1', 3));
    assert.deepEqual(
      changes.map(({ kind }) => kind),
      ['exists', 'exists', 'exists', 'push'],
    );
  });

  test('names the files of bodies whose last row went, and only those', () => {
    run(
      call('createAccount', { address: 'a@x', passwordHash: 'h', now: 0 }),
      call('createAccount', { address: 'b@x', passwordHash: 'h', now: 0 }),
    );
    const body = { kind: 'file', file: 'shared', size: 10, headerSize: 0, header: undefined } as const;
    const deliveries = ['1', '2'].map((id) => ({
      account: id as AccountId,
      push: false,
      flags: ['\\Deleted'],
    }));
    run(call('accept', { now: 0, body, deliveries }));
    const expunge = (mailbox: string) =>
      run(call('expunge', { mailbox: mailbox as never, uids: 'all', origin: undefined })).unlink;
    assert.deepEqual(expunge('1'), []);
    assert.deepEqual(expunge('2'), ['shared']);
  });
});
