import { after, before, test } from 'node:test';
import { describe } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { createTcpProxy } from '../harness/tcp-proxy.ts';
import type { TcpProxy } from '../harness/tcp-proxy.ts';
import { StoreUnavailable } from '../../src/store/contract.ts';

/** The reads that a FETCH is made of, in the order in which Delta Chat's two FETCHes come to them. */
const reads = ['get', 'headers', 'body'] as const;

describe('a FETCH that is broken off, with Delta Chat', { skip: withoutCore('newest') }, () => {
  let relay: TestRelay;
  let proxy: TcpProxy;
  let sender: DeltaChat;
  let reader: DeltaChat;
  let alice: number;
  let bob: number;
  let chat: number;

  before(async () => {
    relay = await startTestRelay();
    proxy = await createTcpProxy({ host: '127.0.0.1', port: relay.ports.imaps_port });
    sender = await DeltaChat.start();
    reader = await DeltaChat.start();
    alice = await sender.account(`alicealic@${relay.domain}`, 'a password of alice', relay.servers());
    const servers = { ...relay.servers(), imapPort: proxy.port };
    bob = await reader.account(`bobbybobb@${relay.domain}`, 'a password of bob', servers);
    chat = await secureJoin({ core: reader, id: bob }, { core: sender, id: alice });
  });
  after(async () => {
    await sender[Symbol.asyncDispose]();
    await reader[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
  });

  /** The next call of this read fails, after `then`, and no other. Resolves when it has. */
  const failOnce = (read: (typeof reads)[number], then: () => Promise<void>): Promise<void> => {
    const messages = relay.store.messages as unknown as Record<string, () => Promise<unknown>>;
    const whole = messages[read]!;
    return new Promise((resolve) => {
      messages[read] = async () => {
        messages[read] = whole;
        await then();
        resolve();
        throw new StoreUnavailable('broken off by the test');
      };
    });
  };

  const ways = {
    'the store fails': async () => {},
    // The certificate is not public, so the client cannot tell this end of a connection from a clean one.
    'the process is gone': () => proxy.stop(),
  };

  for (const [read, [how, then]] of reads.flatMap((read) =>
    Object.entries(ways).map((way) => [read, way] as const),
  ))
    test(`nothing is lost when ${how} in ${read}()`, async () => {
      const text = `sent while ${how} in ${read}`;
      const arrives = reader.incoming(bob, (each) => each === text);
      // The client starts afresh with what is there: after SELECT it looks for what UIDNEXT says is new.
      await reader.rpc('stop_io', bob);
      const delivered = sender.wait(alice, 'MsgDelivered');
      await sender.rpc('misc_send_text_message', alice, chat, text);
      await delivered;
      const failed = failOnce(read, then);
      await reader.rpc('start_io', bob);
      await failed;
      await proxy.resume();
      // It waits before it tries again, unless the app says that the network is there.
      const looking = setInterval(() => void reader.rpc('maybe_network'), 1000);
      try {
        await arrives;
      } finally {
        clearInterval(looking);
      }
    });
});
