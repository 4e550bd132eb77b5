import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { relayOnFreePorts } from '../harness/free-ports.ts';
import { without } from '../harness/peers.ts';
import { openTestCluster, testDomain } from '../harness/relay.ts';
import { TealProcess } from '../harness/teal-process.ts';

test(
  'a relay moves to WildDuck and back, and its clients go on as if nothing had been',
  { skip: withoutCore('newest') || without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using open = new AsyncDisposableStack();
    const dir = await mkdtemp(join(tmpdir(), 'teal-moving-'));
    open.defer(() => rm(dir, { recursive: true, force: true }));
    const cluster = open.use(await openTestCluster());
    const env = await relayOnFreePorts(dir, cluster.env);
    const serve = (store: string, data: string) =>
      TealProcess.start({ cwd: dir, env: { ...env, TEAL_STORE: store, TEAL_DATA_DIR: join(dir, data) } });
    const move = (from: string, to: string, data: string) =>
      promisify(execFile)(
        process.execPath,
        [new URL('../../bin/teal.mjs', import.meta.url).pathname, 'move', '--from', from, '--to', to],
        { cwd: dir, env: { ...env, TEAL_DATA_DIR: join(dir, data) } },
      );

    const first = await serve('sqlite', 'one');
    const servers = { imapPort: first.ports.imaps_port, smtpPort: first.ports.submissions_port };
    const core = open.use(await DeltaChat.start());
    const alice = await core.account(`alicemove@${testDomain}`, 'a password of alice', servers);
    const bob = await core.account(`bobbymove@${testDomain}`, 'a password of bob', servers);
    const chat = await secureJoin({ core, id: alice }, { core, id: bob });

    /** Bob writes while Alice is away, the relay moves, and Alice finds the message behind her new login. */
    const writeAndMove = async (text: string, old: TealProcess, between: () => Promise<TealProcess>) => {
      await core.rpc('stop_io', alice);
      const delivered = core.wait(bob, 'MsgDelivered');
      await core.rpc('misc_send_text_message', bob, chat, text);
      await delivered;
      await core.rpc('stop_io', bob);
      assert.equal(await old.end('SIGTERM'), 0);
      const next = await between();
      const arrives = core.incoming(alice, (each) => each === text);
      await core.rpc('start_io', alice);
      await core.rpc('start_io', bob);
      await arrives;
      return next;
    };
    const second = await writeAndMove('moved there', first, async () => {
      const { stdout } = await move('sqlite', 'wildduck', 'one');
      assert.match(stdout, /^accounts +2 +2$/m);
      assert.match(stdout, /^Everything is in wildduck/m);
      // The old data directory is not touched any more: another one, for the certificate alone.
      return serve('wildduck', 'two');
    });
    await using third = await writeAndMove('moved back', second, async () => {
      const { stdout } = await move('wildduck', 'sqlite', 'three');
      assert.match(stdout, /^Everything is in sqlite/m);
      return serve('sqlite', 'three');
    });
    assert.ok(third);

    const arrives = core.incoming(alice, (text) => text === 'and on it goes');
    await core.rpc('misc_send_text_message', bob, chat, 'and on it goes');
    await arrives;
    // With another UIDVALIDITY, a lower UIDNEXT or other bytes they would have some.
    assert.deepEqual(core.warnings(/certificate|connection|Connection|closed|EOF|os error/), []);
  },
);
