import { after, before, test } from 'node:test';
import { describe } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { StoreUnavailable } from '../../src/store/contract.ts';

/** The reads that a FETCH is made of, in the order in which Delta Chat's two FETCHes come to them. */
const reads = ['get', 'headers', 'body'] as const;

describe('a FETCH that the store breaks off, with Delta Chat', { skip: withoutCore('newest') }, () => {
  let relay: TestRelay;
  let sender: DeltaChat;
  let reader: DeltaChat;
  let alice: number;
  let bob: number;
  let chat: number;

  before(async () => {
    relay = await startTestRelay();
    sender = await DeltaChat.start();
    reader = await DeltaChat.start();
    alice = await sender.account(`alicealic@${relay.domain}`, 'a password of alice', relay.servers());
    bob = await reader.account(`bobbybobb@${relay.domain}`, 'a password of bob', relay.servers());
    chat = await secureJoin({ core: reader, id: bob }, { core: sender, id: alice });
  });
  after(async () => {
    await sender[Symbol.asyncDispose]();
    await reader[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
  });

  /** The next call of this read fails, and no other. Resolves when it has. */
  const failOnce = (read: (typeof reads)[number]): Promise<void> => {
    const messages = relay.store.messages as unknown as Record<string, () => Promise<unknown>>;
    const whole = messages[read]!;
    return new Promise((resolve) => {
      messages[read] = () => {
        messages[read] = whole;
        resolve();
        return Promise.reject(new StoreUnavailable('broken off by the test'));
      };
    });
  };

  for (const read of reads)
    test(`nothing is lost when ${read}() fails`, async () => {
      const text = `sent while ${read} fails`;
      const arrives = reader.incoming(bob, (each) => each === text);
      // The client starts afresh with what is there: after SELECT it looks for what UIDNEXT says is new.
      await reader.rpc('stop_io', bob);
      const delivered = sender.wait(alice, 'MsgDelivered');
      await sender.rpc('misc_send_text_message', alice, chat, text);
      await delivered;
      const failed = failOnce(read);
      await reader.rpc('start_io', bob);
      await failed;
      // It waits before it tries again, unless the app says that the network is there.
      const looking = setInterval(() => void reader.rpc('maybe_network'), 1000);
      try {
        await arrives;
      } finally {
        clearInterval(looking);
      }
    });
});
