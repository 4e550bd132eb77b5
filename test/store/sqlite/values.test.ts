import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Values } from '../../../src/store/contract.ts';
import { openSqliteValues } from '../../../src/store/sqlite/values.ts';
import { openTestStore } from '../../harness/store.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'teal-values-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

/** What each side writes the other reads at once. */
async function together(one: Values, other: Values): Promise<void> {
  await one.set('a', '1');
  assert.equal(await other.get('a'), '1');
  assert.equal(await other.setOnce('a', '2'), '1');
  assert.equal(await other.setOnce('b', '2'), '2');
  assert.equal(await one.get('b'), '2');
  assert.equal(await other.setIf('a', '0', '3'), false);
  assert.equal(await other.setIf('a', '1', '3'), true);
  assert.equal(await one.removeIf('a', '1'), false);
  assert.equal(await one.removeIf('a', '3'), true);
  assert.equal(await other.get('a'), undefined);
  assert.deepEqual([...(await other.list(''))], [['b', '2']]);
  assert.equal(await other.removeIf('b', '2'), true);
  assert.deepEqual([...(await one.list(''))], []);
}

test('the values of a store that runs are read and written beside it, and both see all of it', async () => {
  await using opened = await openTestStore({ dataDir });
  await using values = await openSqliteValues(dataDir);
  await together(opened.store.values, values);
  await together(values, opened.store.values);
});

test('of the store and a command that change one value at once exactly one does', async () => {
  await using opened = await openTestStore({ dataDir });
  await using values = await openSqliteValues(dataDir);
  for (let n = 0; n < 20; n += 1) {
    const done = await Promise.all([
      opened.store.values.setIf(`key ${n}`, undefined, 'store'),
      values.setIf(`key ${n}`, undefined, 'command'),
    ]);
    assert.equal(done.filter(Boolean).length, 1);
    assert.equal(await values.get(`key ${n}`), done[0] ? 'store' : 'command');
  }
});

test('where no Teal runs a command has the store for itself, and what it writes is found later', async () => {
  {
    await using values = await openSqliteValues(dataDir);
    await values.set('a', '1');
    await assert.rejects(openTestStore({ dataDir }), /another Teal is running/);
  }
  await using opened = await openTestStore({ dataDir });
  assert.equal(await opened.store.values.get('a'), '1');
});
