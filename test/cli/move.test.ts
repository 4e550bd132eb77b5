import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { createRelay, UnfinishedMove } from '../../src/relay.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { openSqliteTarget } from '../../src/store/sqlite/move-target.ts';
import { testSettings } from '../harness/relay.ts';

describe('teal move', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'teal-cli-move-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  async function run(line: string, env: Record<string, string> = {}) {
    const out: string[] = [];
    const err: string[] = [];
    const code = await runCommandLine(commands, line.split(' '), {
      loadSettings: (configPath) => loadSettings({ configPath, env, cwd: dir }),
      print: (text) => out.push(text),
      printError: (text) => err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  const misuses: readonly (readonly [line: string, why: RegExp])[] = [
    ['move', /^teal: --from STORE is missing$/m],
    ['move --from sqlite', /^teal: --to STORE is missing$/m],
    ['move --from sqlite --to mysql', /^teal: --to must be sqlite, wildduck, got "mysql"$/m],
    ['move --from sqlite --to sqlite', /^teal: --from and --to are the same store$/m],
  ];
  for (const [line, why] of misuses)
    test(`cannot be called as teal ${line}`, async () => {
      const { code, out, err } = await run(line);
      assert.deepEqual({ code, out }, { code: 2, out: '' });
      assert.match(err, why);
    });

  test('says which store is missing, and makes nothing', async () => {
    const { code, err } = await run('move --from sqlite --to wildduck');
    assert.equal(code, 1);
    assert.match(err, /^teal: cannot move: there is no store in .*data$/m);
    assert.match(
      (await run('move --from wildduck --to sqlite')).err,
      /wildduck needs mongodb_url and redis_url/,
    );
    assert.ok(!existsSync(join(dir, 'data')));
  });

  test('does not move what was never a relay', async () => {
    const empty = {
      TEAL_DATA_DIR: join(dir, 'empty'),
      TEAL_MONGODB_URL: 'mongodb://127.0.0.1:9',
      TEAL_REDIS_URL: 'redis://127.0.0.1:9',
    };
    await using target = await openSqliteTarget(empty.TEAL_DATA_DIR);
    await target[Symbol.asyncDispose]();
    const { err } = await run('move --from sqlite --to wildduck', empty);
    assert.match(err, /^teal: cannot move: no relay was ever served from sqlite/m);
  });

  test('that has not come to its end keeps Teal from serving what is half there', async () => {
    const settings = testSettings(dir);
    {
      await using target = await openSqliteTarget(settings.data_dir);
      await target.begin('example.org in wildduck');
    }
    await assert.rejects(createRelay(settings), (error) => {
      assert.ok(error instanceof UnfinishedMove);
      assert.match(error.message, /being filled from example\.org in wildduck/);
      return true;
    });
    {
      await using target = await openSqliteTarget(settings.data_dir);
      await target.finish();
    }
    await using relay = await createRelay(settings);
    assert.equal(relay.domain, '_relay.test');
  });
});
