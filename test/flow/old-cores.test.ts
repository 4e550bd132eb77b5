import { test } from 'node:test';
import { cores, DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import type { CoreVersion } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { startTestRelay } from '../harness/relay.ts';

onEachStore('what people still have on their phones', withoutCore('newest'), (store) => {
  for (const version of (Object.keys(cores) as CoreVersion[]).filter((one) => one !== 'newest')) {
    test(`Delta Chat ${version} chats with the newest`, { skip: withoutCore(version) }, async () => {
      await using relay = await startTestRelay({ TEAL_STORE: store });
      await using old = await DeltaChat.start(version);
      await using newest = await DeltaChat.start();
      const alice = await old.account(`oldphones@${relay.domain}`, 'a password of alice', relay.servers());
      const bob = await newest.account(`newphones@${relay.domain}`, 'a password of bob', relay.servers());

      const chat = await secureJoin({ core: old, id: alice }, { core: newest, id: bob });
      const arrives = old.incoming(alice, (text) => text === 'to the old phone');
      await newest.rpc('misc_send_text_message', bob, chat, 'to the old phone');
      const { chatId } = await arrives;
      await old.rpc('accept_chat', alice, chatId);

      const answer = newest.incoming(bob, (text) => text === 'from the old phone');
      await old.rpc('misc_send_text_message', alice, chatId, 'from the old phone');
      await answer;
    });
  }
});
