import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

/** As long as the real thing: an OpenPGP message in base64 (client.md 4). */
const token = (mark: string) => `openpgp:${mark.repeat(916)}`;

/** The notifier of the world, played here: keeps what is posted, answers what the test says. */
class Notifier {
  readonly posts: { readonly token: string; readonly respond: (status: number) => void }[] = [];
  readonly #server: Server;
  #arrived = Promise.withResolvers<void>();

  constructor() {
    this.#server = createServer((request, response: ServerResponse) => {
      void text(request).then((body) => {
        assert.equal(request.method, 'POST');
        this.posts.push({ token: body, respond: (status) => response.writeHead(status).end() });
        this.#arrived.resolve();
        this.#arrived = Promise.withResolvers();
      });
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/notify`;
  }

  /** Resolves with the first `count` posts. */
  async received(count: number): Promise<Notifier['posts']> {
    while (this.posts.length < count) await this.#arrived.promise;
    return this.posts.slice(0, count);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

onEachStore('a sleeping phone is woken', false, (store) => {
  let relay: TestRelay;
  let notifier: Notifier;
  before(async () => {
    notifier = new Notifier();
    relay = await startTestRelay({ TEAL_STORE: store, TEAL_NOTIFIER_URL: await notifier.listen() });
  });
  after(async () => {
    await relay[Symbol.asyncDispose]();
    await notifier.close();
  });
  const logIn = async (local: string) => {
    const imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    assert.equal((await imap.command(`LOGIN ${local}@${relay.domain} password-1`)).status, 'OK');
    return imap;
  };
  const submit = async (from: string, to: string) => {
    await using smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
    await smtp.login(`${from}@${relay.domain}`, 'password-1');
    const message = mail({ from: `<${from}@${relay.domain}>` });
    return await smtp.deliver(`${from}@${relay.domain}`, [`${to}@${relay.domain}`], message);
  };

  test('each device of the recipient by its own token, as Delta Chat 2.57 and 2.58 set it', async () => {
    await using imap = await logIn('sleepyone');
    const literal = await imap.command('SETMETADATA "INBOX" (/private/devicetoken +', token('A'), ')');
    assert.equal(literal.status, 'OK');
    const quoted = await imap.command(`SETMETADATA INBOX (/private/devicetoken "${token('B')}" )`);
    assert.equal(quoted.status, 'OK');

    assert.equal((await submit('awakeones', 'sleepyone')).code, 250);
    const posts = await notifier.received(2);
    assert.deepEqual(posts.map((post) => post.token).sort(), [token('A'), token('B')]);
    // Not heard of again: the device is gone.
    posts.find((post) => post.token === token('B'))?.respond(410);
    posts.find((post) => post.token === token('A'))?.respond(200);
  });

  test('not by what one sends to oneself', async () => {
    await using imap = await logIn('selfsends');
    await imap.command('SETMETADATA "INBOX" (/private/devicetoken +', token('C'), ')');
    const before = notifier.posts.length;
    assert.equal((await submit('selfsends', 'selfsends')).code, 250);
    assert.equal((await submit('awakeones', 'selfsends')).code, 250);
    const posts = await notifier.received(before + 1);
    assert.equal(posts.at(-1)?.token, token('C'));
    posts.at(-1)?.respond(200);
    await imap.command('SELECT INBOX');
    assert.equal(notifier.posts.length, before + 1);
  });

  test('while it chats, a real client is woken too', { skip: withoutCore('newest') }, async () => {
    await using core = await DeltaChat.start();
    const alice = await core.account(`sleepyone@${relay.domain}`, 'password-1', relay.servers());
    const bob = await core.account(`bobbybobb@${relay.domain}`, 'password-2', relay.servers());
    const before = notifier.posts.length;
    await secureJoin({ core, id: alice }, { core, id: bob });
    const posts = await notifier.received(before + 1);
    assert.equal(posts.at(-1)?.token, token('A'), 'B was dropped at 410');
    posts.at(-1)?.respond(200);
  });
});
