import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { TealProcess } from '../harness/teal-process.ts';

const env = {
  TEAL_LOG_LEVEL: 'info',
  TEAL_DNS_SERVERS: '127.0.0.1:9',
  TEAL_NOTIFIER_URL: 'http://127.0.0.1:9/',
};

function links(teal: TealProcess): string[] {
  return teal.lines.map((line) => line.trim()).filter((line) => line.startsWith('dclogin:'));
}

describe('npm start without any settings', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'teal-trial-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  test(
    'two people chat by the links it prints, and find all again after a second start',
    { skip: withoutCore('newest') },
    async () => {
      await using core = await DeltaChat.start();
      const first = await TealProcess.start({ cwd: dir, env });
      assert.ok(first.lines.some((line) => line.includes('THIS IS A TRIAL')));
      const [linkOfAlice, linkOfBob, ...more] = links(first);
      assert.ok(linkOfAlice && linkOfBob && more.length === 0);
      const alice = await core.accountFromLink(linkOfAlice);
      const bob = await core.accountFromLink(linkOfBob);
      const chat = await secureJoin({ core, id: alice }, { core, id: bob });

      // Mail that waits on the server over the second start.
      await core.rpc('stop_io', alice);
      const delivered = core.wait(bob, 'MsgDelivered');
      await core.rpc('misc_send_text_message', bob, chat, 'kept over the night');
      await delivered;
      assert.equal(await first.end('SIGTERM'), 0);

      await using second = await TealProcess.start({ cwd: dir, env });
      assert.deepEqual(second.ports, first.ports);
      assert.deepEqual(links(second), [linkOfAlice, linkOfBob]);
      const arrives = core.incoming(alice, (text) => text === 'kept over the night');
      await core.rpc('start_io', alice);
      await arrives;
    },
  );

  test('says clearly which port is taken', async () => {
    const first = await TealProcess.start({ cwd: dir, env });
    await first.end('SIGTERM');
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(first.ports.imaps_port, '127.0.0.1', resolve));
    await assert.rejects(TealProcess.start({ cwd: dir, env }), (error: Error) => {
      assert.match(
        error.message,
        new RegExp(`port ${first.ports.imaps_port} \\(imaps_port\\) of this trial is taken`),
      );
      assert.match(error.message, /trial\.json/);
      return true;
    });
    squatter.close();
  });

  test('a second trial in the same directory is refused in words', async () => {
    await using first = await TealProcess.start({ cwd: dir, env });
    assert.ok(first);
    await assert.rejects(TealProcess.start({ cwd: dir, env }), /is taken/);
  });

  test('keeps its passwords to the owner', async () => {
    const { accounts } = JSON.parse(await readFile(join(dir, 'data/trial/trial.json'), 'utf8')) as {
      accounts: { address: string; password: string }[];
    };
    assert.match(accounts[0]?.address ?? '', /^[a-z0-9]{9}@_teal\.test$/);
    assert.equal(accounts[0]?.password.length, 22);
  });
});
