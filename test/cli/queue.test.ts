import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { hour } from '../../src/clock.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { openTestStore } from '../harness/store.ts';
import type { TestStore } from '../harness/store.ts';

describe('teal queue', () => {
  let opened: TestStore;
  before(async () => {
    opened = await openTestStore();
  });
  after(() => opened[Symbol.asyncDispose]());

  async function run(words: readonly string[], dataDir = opened.dataDir) {
    const out: string[] = [];
    const err: string[] = [];
    const env = { TEAL_MAIL_DOMAIN: 'chat.example.org', TEAL_DATA_DIR: dataDir };
    const code = await runCommandLine(commands, ['queue', ...words], {
      loadSettings: (configPath) => loadSettings({ configPath, env, cwd: dataDir }),
      print: (text) => out.push(text),
      printError: (text) => err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  const accept = (recipients: readonly string[], sender: string) =>
    opened.store.accept({
      now: Date.now() - 3 * hour,
      message: Buffer.from('Subject: secret\r\n\r\nsecret\r\n'),
      headerSize: 19,
      deliveries: [],
      outgoing: {
        sender,
        recipients: recipients.map((address) => ({ address, destination: address.replace(/.*@/, '') })),
      },
    });

  test('nothing waits', async () => {
    assert.deepEqual(await run([]), { code: 0, out: 'Nothing waits.', err: '' });
    assert.deepEqual(await run(['b.test']), { code: 0, out: 'Nothing waits for b.test.', err: '' });
  });

  test('beside a store that is open it shows what waits, since when, and why', async () => {
    await accept(['bob@b.test', 'bea@b.test'], 'alice@chat.test');
    await accept(['carol@c.test'], '');
    const [batch] = await opened.store.queue.claim(Date.now(), {
      limit: 1,
      perDestination: 1,
      rowsPerBatch: 1,
      leaseMs: 1000,
      except: ['c.test'],
    });
    assert.ok(batch);
    await opened.store.queue.settle(batch, [
      { kind: 'retry', at: Date.now() + hour, reason: 'no host answers\u001b[2J' },
    ]);
    const all = await run([]);
    assert.equal(all.code, 0, all.err);
    assert.deepEqual(all.out.split('\n').toSorted(), [
      'b.test: 2 recipients, the oldest for 3 h, next try now',
      'c.test: 1 recipient, the oldest for 3 h, next try now',
    ]);
    const one = await run(['B.Test']);
    assert.match(
      one.out,
      /^b(ob|ea)@b\.test: from alice@chat\.test, 27 bytes, waiting for 3 h, not tried yet, next try now$/m,
    );
    assert.match(
      one.out,
      /: from alice@chat\.test, 27 bytes, waiting for 3 h, 1 try failed, next try in 60 min\n {2}no host answers\?\[2J/,
    );
    assert.match((await run(['c.test'])).out, /^carol@c\.test: a bounce, /);
    assert.doesNotMatch(all.out + one.out, /secret/);
  });

  test('where there is no store it says so in one line', async () => {
    const result = await run([], '/nowhere');
    assert.equal(result.code, 1);
    assert.match(result.err, /^teal: there is no store in \/nowhere/);
  });
});
