import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { openTestStore } from '../harness/store.ts';
import { createLedger, runAndKill, verify, verifyQueue } from './ledger.ts';

/** Kills of one directory; the first ones come while the child is still opening it. */
const KILLS = 20;
const KILLS_WHILE_OPENING = 4;
/** The latest instant of a kill, in ms after the child has opened the store. */
const LONGEST = 450;

/** SQLite's own word on the database, and that rows and files fit; the store is closed. */
function verifyFiles(dataDir: string): void {
  using database = new DatabaseSync(join(dataDir, 'store.db'));
  const one = (sql: string) => Object.values(database.prepare(sql).get() ?? {})[0];
  assert.equal(one('PRAGMA integrity_check'), 'ok');
  assert.equal(one('PRAGMA foreign_key_check'), undefined);
  assert.equal(
    one(
      'SELECT count(*) FROM body WHERE id NOT IN (SELECT body FROM message UNION ALL SELECT body FROM queue_message)',
    ),
    0,
  );
  assert.equal(one('SELECT count(*) FROM queue_message WHERE id NOT IN (SELECT message FROM queue_row)'), 0);
  const dues = 'SELECT destination, min(due) FROM queue_row GROUP BY destination';
  assert.equal(
    one(`SELECT count(*) FROM (${dues} EXCEPT SELECT destination, due FROM queue_destination)`),
    0,
  );
  assert.equal(
    one(`SELECT count(*) FROM (SELECT destination, due FROM queue_destination EXCEPT ${dues})`),
    0,
  );
  const named = database.prepare('SELECT file FROM body WHERE file IS NOT NULL ORDER BY file').all();
  assert.deepEqual(
    readdirSync(join(dataDir, 'bodies')).sort(),
    named.map(({ file }) => file),
    'each file has its row, each row its file',
  );
}

async function inFreshDirectory(work: (dataDir: string) => Promise<void>): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'teal-crash-'));
  try {
    await work(dataDir);
  } finally {
    rmSync(dataDir, { recursive: true });
  }
}

describe('kill -9 of the SQLite store', () => {
  test(`${KILLS} times under load: what was acknowledged is there, intact, and what was expunged is gone`, (t) =>
    inFreshDirectory(async (dataDir) => {
      const ledger = createLedger();
      for (let round = 1; round <= KILLS; round += 1) {
        const opening = round > 2 && round <= 2 + KILLS_WHILE_OPENING;
        await runAndKill(dataDir, round, ledger, {
          after: opening ? 'start' : 'open',
          // Where the kill falls is meant to be different each time; what is found does not depend on it.
          wait: Math.random() * (opening ? 400 : LONGEST),
        });
        {
          await using opened = await openTestStore({ dataDir });
          await verify(opened.store, ledger, round, round === KILLS);
          await verifyQueue(opened.store, ledger);
        }
        verifyFiles(dataDir);
      }
      const { accepted, expunged, flagged, settled } = ledger.lines;
      assert.ok(accepted > 500 && expunged > 50 && flagged > 50 && settled > 200, 'there was load');
      const twice = [...ledger.queued.values()].filter(({ sentIn }) => sentIn.length > 1).length;
      t.diagnostic(`${accepted} accepted, ${flagged} flagged, ${expunged} expunged`);
      t.diagnostic(`${settled} batches sent and settled, ${twice} recipients sent to twice`);
    }));

  test('a store that acknowledged before its commit would be found out by this', () =>
    inFreshDirectory(async (dataDir) => {
      const ledger = createLedger();
      for (let round = 1; round <= 5; round += 1) {
        await runAndKill(dataDir, round, ledger, { after: 'open', wait: 100 + 50 * round }, 'early');
        await using opened = await openTestStore({ dataDir });
        const outcome = await verify(opened.store, ledger, round, true).catch((error: unknown) => error);
        if (!(outcome instanceof Error)) continue;
        assert.match(outcome.message, /acknowledged, and is nowhere/);
        return;
      }
      assert.fail('five kills, and nothing acknowledged too early was missed');
    }));
});
