import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';

onEachStore('two people with the newest Delta Chat on one Teal', withoutCore('newest'), (store) => {
  let relay: TestRelay;
  let core: DeltaChat;
  let alice: number;
  let bob: number;
  let chatOfBob: number;
  let chatOfAlice: number;

  before(async () => {
    relay = await startTestRelay({ TEAL_STORE: store });
    core = await DeltaChat.start();
  });
  after(async () => {
    await core[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
  });

  test('an account is made at first login, by explicit servers over TLS', async () => {
    alice = await core.account(`alicealic@${relay.domain}`, 'a password of alice', relay.servers());
  });

  test('an account is made at first login, by a dclogin: link', async () => {
    bob = await core.accountFromLink(relay.loginLink('bobbybobb', 'a password of bob'));
  });

  test('a client may use STARTTLS on both ports', async () => {
    await core.account(`carolcaro@${relay.domain}`, 'a password of carol', relay.servers('starttls'));
  });

  test('they verify each other by secure join', async () => {
    chatOfBob = await secureJoin({ core, id: alice }, { core, id: bob });
  });

  test('they write both ways', async () => {
    const toAlice = core.incoming(alice, (text) => text === 'hello Alice');
    await core.rpc('misc_send_text_message', bob, chatOfBob, 'hello Alice');
    ({ chatId: chatOfAlice } = await toAlice);
    await core.rpc('accept_chat', alice, chatOfAlice);

    const toBob = core.incoming(bob, (text) => text === 'hello Bob');
    await core.rpc('misc_send_text_message', alice, chatOfAlice, 'hello Bob');
    await toBob;
  });

  test('the sender learns that a message was read', async () => {
    const arrives = core.incoming(alice, (text) => text === 'read me');
    const sent = await core.rpc<number>('misc_send_text_message', bob, chatOfBob, 'read me');
    const { msgId } = await arrives;
    const read = core.wait(bob, 'MsgRead', (event) => event['msgId'] === sent);
    await core.rpc('markseen_msgs', alice, [msgId]);
    await read;
  });

  test('a group reaches its members', async () => {
    const [contact] = await core.rpc<number[]>('get_chat_contacts', alice, chatOfAlice);
    const group = await core.rpc<number>('create_group_chat', alice, 'Ducks', false);
    await core.rpc('add_contact_to_chat', alice, group, contact);
    const arrives = core.incoming(bob, (text) => text === 'quack');
    await core.rpc('misc_send_text_message', alice, group, 'quack');
    const { chatId } = await arrives;
    const chat = await core.rpc<{ name: string }>('get_basic_chat_info', bob, chatId);
    assert.equal(chat.name, 'Ducks');
  });

  test('a file of 5 MB arrives byte for byte', async () => {
    const file = join(relay.dir, 'five.bin');
    const bytes = randomBytes(5 * 1024 * 1024);
    await writeFile(file, bytes);
    // Its text comes first, the file follows in a second message (client.md 3.4).
    const complete = core.wait(alice, 'MsgsChanged', async (event) => {
      if (!event['msgId']) return false;
      const message = await core.rpc<{ file: string | null; downloadState: string; fileBytes: number }>(
        'get_message',
        alice,
        event['msgId'],
      );
      return message.downloadState === 'Done' && message.fileBytes === bytes.length;
    });
    await core.send(bob, chatOfBob, { text: 'a file', file, filename: 'five.bin', viewtype: 'File' });
    const { msgId } = await complete;
    const message = await core.rpc<{ file: string }>('get_message', alice, msgId);
    assert.ok(bytes.equals(await readFile(message.file)));
  });

  test('a second device made from a backup gets what comes after', async () => {
    await core.rpc('stop_io', alice);
    const providing = core.rpc('provide_backup', alice);
    const link = await core.rpc<string>('get_backup_qr', alice);
    const second = await core.rpc<number>('add_account');
    await core.rpc('get_backup', second, link);
    await providing;
    const idle = Promise.all([core.wait(alice, 'ImapInboxIdle'), core.wait(second, 'ImapInboxIdle')]);
    await core.rpc('start_io', alice);
    await core.rpc('start_io', second);
    await idle;

    const both = Promise.all(
      [alice, second].map((id) => core.incoming(id, (text) => text === 'on both devices')),
    );
    await core.rpc('misc_send_text_message', bob, chatOfBob, 'on both devices');
    await both;

    const copy = core.wait(second, 'MsgsChanged', async (event) => {
      if (!event['msgId']) return false;
      return (
        (await core.rpc<{ text: string }>('get_message', second, event['msgId'])).text === 'seen on the other'
      );
    });
    await core.rpc('misc_send_text_message', alice, chatOfAlice, 'seen on the other');
    await copy;
  });

  test('no client has warned of anything', () => {
    assert.deepEqual(core.warnings(), []);
  });
});
