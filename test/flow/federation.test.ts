import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { StoreName } from '../../src/stores.ts';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { stores } from '../harness/each-store.ts';
import { createEventLog } from '../harness/event-log.ts';
import { createFederation } from '../harness/federation.ts';
import type { Federation } from '../harness/federation.ts';
import type { TestRelay } from '../harness/relay.ts';

type Way = 'mxdeliv' | 'smtp';
interface Side {
  readonly store: StoreName;
  /** How mail comes to it: without `mxdeliv` nobody listens on 443. */
  readonly way: Way;
}

const pairs: Readonly<Record<string, readonly [Side, Side]>> = {
  'by mxdeliv, on SQLite': [
    { store: 'sqlite', way: 'mxdeliv' },
    { store: 'sqlite', way: 'mxdeliv' },
  ],
  'by SMTP, on SQLite': [
    { store: 'sqlite', way: 'smtp' },
    { store: 'sqlite', way: 'smtp' },
  ],
  'by SMTP to one on WildDuck, by mxdeliv to one on SQLite': [
    { store: 'wildduck', way: 'smtp' },
    { store: 'sqlite', way: 'mxdeliv' },
  ],
};

/** What keeps one of its stores from being here. */
const without = (pair: readonly Side[]) =>
  stores.find(({ store, skip }) => skip !== false && pair.some((side) => side.store === store))?.skip;

for (const [title, pair] of Object.entries(pairs)) {
  const skip = withoutCore('newest') || without(pair);
  describe(`two relays, a Delta Chat on each, ${title}`, { skip: skip ?? false }, () => {
    const [here, there] = pair;
    const logs = [createEventLog(), createEventLog()] as const;
    let federation: Federation;
    let first: TestRelay;
    let second: TestRelay;
    let one: DeltaChat;
    let two: DeltaChat;
    let alice: number;
    let bob: number;
    let chatOfBob: number;
    let chatOfAlice: number;

    before(async () => {
      federation = await createFederation(['one.test', 'two.test']);
      const env = ({ store, way }: Side) => ({
        TEAL_STORE: store,
        ...(way === 'smtp' ? { TEAL_HTTPS_PORT: 'off' } : {}),
      });
      first = await federation.relay('one.test', env(here), { log: logs[0].log });
      second = await federation.relay('two.test', env(there), { log: logs[1].log });
      [one, two] = await Promise.all([DeltaChat.start(), DeltaChat.start()]);
      [alice, bob] = await Promise.all([
        one.accountFromLink(first.loginLink('alicealic', 'a password of alice')),
        two.accountFromLink(second.loginLink('bobbybobb', 'a password of bob')),
      ]);
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
      const file = join(first.dir, 'three.bin');
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

    test('in a group a message reaches the member at this relay and the one at the other', async () => {
      const carol = await one.accountFromLink(first.loginLink('carolcaro', 'a password of carol'));
      const [contact] = await one.rpc<number[]>('get_chat_contacts', alice, chatOfAlice);
      const group = await one.rpc<number>('create_group_chat', alice, 'Ducks', false);
      await one.rpc('add_contact_to_chat', alice, group, contact);
      const invited = two.incoming(bob, (text) => text === 'quack');
      await one.rpc('misc_send_text_message', alice, group, 'quack');
      const { chatId: groupOfBob } = await invited;
      await two.rpc('accept_chat', bob, groupOfBob);

      const [added, told] = [
        one.wait(carol, 'SecurejoinJoinerProgress', ({ progress }) => progress === 1000),
        // Bob must know her before he writes to her.
        two.wait(bob, 'ChatModified', async ({ chatId }) => {
          if (chatId !== groupOfBob) return false;
          return (await two.rpc<number[]>('get_chat_contacts', bob, groupOfBob)).length === 3;
        }),
      ];
      const link = await one.rpc<string>('get_chat_securejoin_qr_code', alice, group);
      const groupOfCarol = await one.rpc<number>('secure_join', carol, link);
      await Promise.all([added, told]);

      const fromBob = [alice, carol].map((id) => one.incoming(id, (text) => text === 'from over there'));
      await two.rpc('misc_send_text_message', bob, groupOfBob, 'from over there');
      await Promise.all(fromBob);
      const fromCarol = [
        one.incoming(alice, (text) => text === 'from here'),
        two.incoming(bob, (text) => text === 'from here'),
      ];
      await one.rpc('misc_send_text_message', carol, groupOfCarol, 'from here');
      await Promise.all(fromCarol);
    });

    test('all of it went that way, and nothing was put off', () => {
      for (const [log, { way }] of [[logs[0], there] as const, [logs[1], here] as const]) {
        const delivered = log.events.filter(({ event }) => event === 'mail-delivered');
        assert.ok(delivered.length > 3);
        assert.deepEqual([...new Set(delivered.map(({ via }) => via))], [way]);
        const bad = ['mail-deferred', 'mail-failed', 'bounce-sent', 'recipient-dropped', 'fault'];
        assert.deepEqual(
          log.events.filter(({ event }) => bad.includes(event)),
          [],
        );
      }
    });

    test('no client has warned of anything', () => {
      assert.deepEqual([...one.warnings(), ...two.warnings()], []);
    });

    test('to a contact that is gone nothing is delivered, and Delta Chat says so', async () => {
      const account = await second.store.accounts.find('bobbybobb@two.test');
      assert.ok(account);
      await two.rpc('stop_io', bob);
      await second.store.accounts.remove(account.id);
      // With its default a client looks at nothing that is not encrypted (client.md 3.2).
      await one.rpc('batch_set_config', alice, { force_encryption: '0' });

      const failed = one.wait(alice, 'MsgFailed');
      const sent = await one.rpc<number>('misc_send_text_message', alice, chatOfAlice, 'are you there?');
      assert.equal((await failed)['msgId'], sent);
      const message = await one.rpc<{ error: string | null }>('get_message', alice, sent);
      assert.match(message.error ?? '', /there is no such address here/);
      // The other relay has told it, and went the same way as all mail.
      assert.equal((await logs[1].next('bounce-sent'))['sender'], 'elsewhere');
      const bounces = logs[0].events.filter(({ event }) => event === 'bounce-sent');
      assert.deepEqual(bounces, []);
    });
  });
}
