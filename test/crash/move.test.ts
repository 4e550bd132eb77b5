import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { compare } from '../../src/move/compare.ts';
import { systemClock, systemRandom } from '../../src/machine.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { openMoveSource } from '../../src/stores.ts';
import type { StoreName } from '../../src/stores.ts';
import { sized, start } from '../contract/fixture.ts';
import { without } from '../harness/peers.ts';
import { openTestCluster } from '../harness/relay.ts';
import { openTestStore } from '../harness/store.ts';

const ACCOUNTS = 16;
const KILLS = 5;
/** A kill comes so long after the move has begun, at most, in ms: about what half of it takes. */
const LONGEST = 700;

test(
  `teal move, killed ${KILLS} times in each direction, ends with everything in its place`,
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async (t) => {
    await using open = new AsyncDisposableStack();
    const dir = await mkdtemp(join(tmpdir(), 'teal-move-crash-'));
    open.defer(() => rm(dir, { recursive: true, force: true }));
    const cluster = open.use(await openTestCluster());
    await fill(join(dir, 'one'));

    const env = (data: string) => ({ ...cluster.env, TEAL_DATA_DIR: join(dir, data) });
    const move = (from: StoreName, to: StoreName, data: string) => moveAndKill(dir, env(data), from, to);
    const there = await move('sqlite', 'wildduck', 'one');
    const back = await move('wildduck', 'sqlite', 'two');
    t.diagnostic(`killed ${there} and ${back} times`);
    assert.ok(there + back > KILLS, 'most of the kills came before the end');

    const parts = { clock: systemClock, random: systemRandom, onFault: assert.ifError };
    const source = async (store: StoreName, data: string) =>
      open.use(await openMoveSource(store, loadSettings({ cwd: dir, env: env(data) }).settings, parts));
    const first = await source('sqlite', 'one');
    for (const other of [await source('wildduck', 'one'), await source('sqlite', 'two')]) {
      const { differences, source: was, target: is } = await compare(first, other);
      assert.deepEqual(differences, []);
      assert.equal(is.checksum, was.checksum);
      assert.equal(was.counts.accounts, ACCOUNTS);
      assert.equal(was.counts.queueRows, 2 * was.counts.queued);
      assert.ok(was.counts.queued > ACCOUNTS);
    }
  },
);

async function fill(dataDir: string): Promise<void> {
  await using opened = await openTestStore({ dataDir });
  const { store } = opened;
  await store.values.set('domain', 'example.org');
  for (let n = 0; n < ACCOUNTS; n += 1) {
    const { account } = await store.accounts.create(`user${n}@example.org`, 'hash', start);
    await store.tokens.add(account.id, `token ${n}`, start);
    const recipients = [n, n + 1].map((to) => ({
      address: `${to}@d${n}.example`,
      destination: `d${n}.example`,
    }));
    for (let box = 0; box < n % 4; box += 1) await store.mailboxes.create(account.id, `box ${box}`, start);
    for (const size of [100, 5000, 200_000].slice(0, 1 + (n % 3)))
      await store.accept({
        now: start,
        message: sized(size),
        headerSize: 6,
        deliveries: [{ account: account.id, push: true }],
        outgoing: { sender: account.address, recipients },
      });
  }
}

/** Starts the move again and again, each time killed a little later; answers with how often that was before its end. */
async function moveAndKill(
  cwd: string,
  env: Record<string, string>,
  from: StoreName,
  to: StoreName,
): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    const teal = new URL('../../bin/teal.mjs', import.meta.url).pathname;
    const child = spawn(process.execPath, [teal, 'move', '--from', from, '--to', to], {
      cwd,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said: string[] = [];
    const wait = kills < KILLS ? (kills * LONGEST) / KILLS : undefined;
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        if (line.startsWith('Moving ') && wait !== undefined) setTimeout(() => child.kill('SIGKILL'), wait);
      });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code === null) continue;
    assert.equal(code, 0, said.join('\n'));
    return kills;
  }
}
