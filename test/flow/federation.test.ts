import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { createEventLog } from '../harness/event-log.ts';
import { createFederation } from '../harness/federation.ts';
import type { Federation } from '../harness/federation.ts';

/** `smtp`: nobody listens on 443. */
for (const way of ['mxdeliv', 'smtp'] as const) {
  onEachStore(`two relays, a Delta Chat on each, by ${way}`, withoutCore('newest'), (store) => {
    const log = createEventLog();
    let federation: Federation;
    let one: DeltaChat;
    let two: DeltaChat;
    let alice: number;
    let bob: number;
    let chatOfBob: number;
    let chatOfAlice: number;
    let dir: string;

    before(async () => {
      federation = await createFederation(['one.test', 'two.test']);
      const env = { TEAL_STORE: store, ...(way === 'smtp' ? { TEAL_HTTPS_PORT: 'off' } : {}) };
      const first = await federation.relay('one.test', env, { log: log.log });
      const second = await federation.relay('two.test', env, { log: log.log });
      dir = first.dir;
      [one, two] = await Promise.all([DeltaChat.start(), DeltaChat.start()]);
      alice = await one.accountFromLink(first.loginLink('alicealic', 'a password of alice'));
      bob = await two.accountFromLink(second.loginLink('bobbybobb', 'a password of bob'));
    });
    after(async () => {
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
      await federation[Symbol.asyncDispose]();
    });

    test('they verify each other by secure join', async () => {
      chatOfBob = await secureJoin({ core: one, id: alice }, { core: two, id: bob });
    });

    test('they write both ways, and the sender learns that it was read', async () => {
      const toAlice = one.incoming(alice, (text) => text === 'hello Alice');
      const sent = await two.rpc<number>('misc_send_text_message', bob, chatOfBob, 'hello Alice');
      const { chatId, msgId } = await toAlice;
      chatOfAlice = chatId;
      await one.rpc('accept_chat', alice, chatOfAlice);
      const read = two.wait(bob, 'MsgRead', (event) => event['msgId'] === sent);
      await one.rpc('markseen_msgs', alice, [msgId]);
      await read;

      const toBob = two.incoming(bob, (text) => text === 'hello Bob');
      await one.rpc('misc_send_text_message', alice, chatOfAlice, 'hello Bob');
      await toBob;
    });

    test('a file of 3 MB arrives byte for byte', async () => {
      // Above 1 MiB, where upstream's /mxdeliv ends (relay.md 3).
      const file = join(dir, 'three.bin');
      const bytes = randomBytes(3 * 1024 * 1024);
      await writeFile(file, bytes);
      const complete = one.wait(alice, 'MsgsChanged', async (event) => {
        if (!event['msgId']) return false;
        const message = await one.rpc<{ downloadState: string; fileBytes: number }>(
          'get_message',
          alice,
          event['msgId'],
        );
        return message.downloadState === 'Done' && message.fileBytes === bytes.length;
      });
      await two.send(bob, chatOfBob, { text: 'a file', file, filename: 'three.bin', viewtype: 'File' });
      const { msgId } = await complete;
      const message = await one.rpc<{ file: string }>('get_message', alice, msgId);
      assert.ok(bytes.equals(await readFile(message.file)));
    });

    test('all of it went that way, and nothing was put off', () => {
      const delivered = log.events.filter(({ event }) => event === 'mail-delivered');
      assert.ok(delivered.length > 5);
      assert.deepEqual([...new Set(delivered.map(({ via }) => via))], [way]);
      assert.deepEqual(
        log.events.filter(({ event }) => event === 'mail-deferred' || event === 'mail-failed'),
        [],
      );
    });

    test('no client has warned of anything', () => {
      assert.deepEqual([...one.warnings(), ...two.warnings()], []);
    });
  });
}
