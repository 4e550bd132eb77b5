import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import type { CoreEvent } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { relayOnFreePorts } from '../harness/free-ports.ts';
import { openTestCluster, testDomain } from '../harness/relay.ts';
import { TealProcess } from '../harness/teal-process.ts';

/** On the other store two processes are killed one at a time as well (two-processes.test.ts). */
const KILLS = { sqlite: 3, wildduck: 1 };
const MESSAGES_BETWEEN = 6;

onEachStore('kill -9 in the middle of a chat', withoutCore('newest'), (store) => {
  test('loses nothing that was acknowledged, and the clients go on', async () => {
    await using open = new AsyncDisposableStack();
    const dir = await mkdtemp(join(tmpdir(), 'teal-restart-'));
    open.defer(() => rm(dir, { recursive: true, force: true }));
    const cluster = store === 'wildduck' ? open.use(await openTestCluster()) : undefined;
    const env = await relayOnFreePorts(dir, cluster?.env);
    const kills = KILLS[store];
    let teal = await TealProcess.start({ cwd: dir, env });
    const servers = { imapPort: teal.ports.imaps_port, smtpPort: teal.ports.submissions_port };
    const core = open.use(await DeltaChat.start());
    try {
      const alice = await core.account(`aliceslow@${testDomain}`, 'a password of alice', servers);
      const bob = await core.account(`bobbyfast@${testDomain}`, 'a password of bob', servers);
      // No pause between messages: the kill shall find some on their way.
      await core.rpc('batch_set_config', bob, { bot: '1' });
      const chat = await secureJoin({ core, id: alice }, { core, id: bob });

      const sent: string[] = [];
      const acknowledged: string[] = [];
      const received = new Set<string>();
      const all = Promise.withResolvers<void>();
      const total = kills * MESSAGES_BETWEEN * 2;
      const listen = core.wait(
        alice,
        'IncomingMsg',
        async (event) => {
          const { text } = await core.rpc<{ text: string }>('get_message', alice, event['msgId']);
          if (text.startsWith('message ')) received.add(text);
          if (received.size === total) all.resolve();
          return received.size === total;
        },
        120_000,
      );
      const send = async () => {
        const text = `message ${sent.length}`;
        sent.push(text);
        const sending = core.rpc<number>('misc_send_text_message', bob, chat, text);
        const matches = async (event: CoreEvent) => event['msgId'] === (await sending);
        const delivered = core.wait(bob, 'MsgDelivered', matches, 120_000);
        await sending;
        return { delivered: delivered.then(() => acknowledged.push(text)) };
      };

      const deliveries: Promise<unknown>[] = [];
      const sendSome = async () => {
        for (let count = 0; count < MESSAGES_BETWEEN; count++) deliveries.push((await send()).delivered);
      };
      for (let kill = 0; kill < kills; kill++) {
        await sendSome();
        // The first of them is acknowledged, the others are anywhere between client and disk.
        await deliveries.at(-MESSAGES_BETWEEN);
        await teal.end('SIGKILL');
        await sendSome();
        teal = await TealProcess.start({ cwd: dir, env });
        // The client would wait up to a minute before it tries again (probe.md 2.3).
        for (const id of [alice, bob]) {
          await core.rpc('stop_io', id);
          await core.rpc('start_io', id);
        }
      }
      await Promise.all(deliveries);
      await Promise.race([all.promise, listen]);
      assert.deepEqual([...received].sort(), [...sent].sort());
      assert.equal(acknowledged.length, total);
    } finally {
      await teal[Symbol.asyncDispose]();
    }
  });
});
