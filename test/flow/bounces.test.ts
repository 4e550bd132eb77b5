import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import { createFederation } from '../harness/federation.ts';
import type { Federation } from '../harness/federation.ts';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { until } from '../harness/until.ts';

const PASSWORD = 'a-password-of-somebody';

onEachStore('mail to another relay over SMTP, and back what it does not take', false, (store) => {
  const log = createEventLog();
  let federation: Federation;
  let one: TestRelay;
  let two: TestRelay;
  const alice = 'alicealic@one.test';
  const bob = 'bobbybobb@two.test';

  before(async () => {
    federation = await createFederation(['one.test', 'two.test', 'wrong.test']);
    const env = { TEAL_STORE: store, TEAL_HTTPS_PORT: 'off' };
    one = await federation.relay('one.test', env, { log: log.log });
    two = await federation.relay('two.test', env, { log: log.log });
    await one.login(alice, PASSWORD, { countsAsUse: true, peer: '127.0.0.1' });
    await two.login(bob, PASSWORD, { countsAsUse: true, peer: '127.0.0.1' });
  });
  after(() => federation[Symbol.asyncDispose]());

  async function submit(recipients: readonly string[], message = mail({ from: alice })): Promise<void> {
    await using smtp = await connectSmtp({ port: one.ports.submissions_port, tls: true });
    assert.equal((await smtp.login(alice, PASSWORD)).code, 235);
    assert.match((await smtp.deliver(alice, recipients, message)).text, /^250 /);
  }

  /** Waits for the message with this UID of an INBOX. */
  async function received(relay: TestRelay, address: string, uid: number): Promise<Buffer> {
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await imap.command(`LOGIN ${address} ${PASSWORD}`);
    for (const end = performance.now() + 20_000; ;) {
      await imap.command('SELECT INBOX');
      const { responses } = await imap.command(`UID FETCH ${uid} (BODY.PEEK[])`);
      const [body] = responses.flatMap(({ literals }) => literals.slice(0, 1));
      if (body) return body;
      if (performance.now() > end)
        assert.fail(`no message ${uid} for ${address}: ${JSON.stringify(log.events)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  test('one recipient there has it byte for byte; for the other, whom nobody knows there, a bounce comes back', async () => {
    const message = mail({ from: alice });
    await submit([bob, 'nobodyatall@two.test'], message);
    assert.ok((await received(two, bob, 1)).equals(message));
    const bounce = (await received(one, alice, 1)).toString();
    assert.match(bounce, /^From: "Mail Delivery" <mailer-daemon@two\.test>\r$/m);
    assert.match(bounce, /^X-Failed-Recipients: nobodyatall@two\.test\r$/m);
    assert.match(bounce, /^Status: 5\.1\.1\r$/m);
    // It came signed, or it would not have come; and it came by SMTP, with the certificate verified.
    assert.equal((await log.next('bounce-sent'))['sender'], 'elsewhere');
    assert.equal((await log.next('mail-delivered'))['via'], 'smtp');
  });

  test('a domain that does not exist is bounced by our own relay', async () => {
    await submit(['somebody@nowhere.test']);
    const bounce = (await received(one, alice, 2)).toString();
    assert.match(bounce, /^From: "Mail Delivery" <mailer-daemon@one\.test>\r$/m);
    assert.match(bounce, /^Final-Recipient: rfc822; somebody@nowhere\.test\r$/m);
    assert.equal((await log.next('mail-failed'))['destination'], 'nowhere.test');
  });

  test('a host with another’s certificate gets nothing: the message waits and says why', async () => {
    await federation.foreign('wrong.test', { smtp: two.ports.smtp_port });
    await submit(['somebody@wrong.test', bob]);
    await received(two, bob, 2);
    const deferred = await log.next('mail-deferred');
    assert.equal(deferred['destination'], 'wrong.test');
    const [row] = await one.store.queue.rows('wrong.test', 10);
    assert.equal(row?.attempts, 1);
    assert.match(row.reason, /TLS.*wrong\.test/);
  });

  test('nothing else waits', async () => {
    // The other side may have a message a moment before its row here is settled.
    const waiting = async ({ store }: TestRelay, ...domains: string[]) =>
      isDeepStrictEqual(
        (await store.queue.destinations(10)).map(({ destination }) => destination),
        domains,
      );
    await until(() => waiting(one, 'wrong.test'), 'only what goes to wrong.test waits at the first');
    await until(() => waiting(two), 'nothing waits at the second');
  });
});

onEachStore('Delta Chat is told that a message was not delivered', withoutCore('newest'), (store) => {
  let relay: TestRelay;
  let core: DeltaChat;
  before(async () => {
    relay = await startTestRelay({ TEAL_STORE: store });
    core = await DeltaChat.start();
  });
  after(async () => {
    await core[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
  });

  test('the message to an account that is gone fails, with the reason', async () => {
    const alice = await core.account(`alicealic@${relay.domain}`, PASSWORD, relay.servers());
    const bob = await core.account(`bobbybobb@${relay.domain}`, PASSWORD, relay.servers());
    const chat = await secureJoin({ core, id: bob }, { core, id: alice });
    const account = await relay.store.accounts.find(`bobbybobb@${relay.domain}`);
    assert.ok(account);
    await core.rpc('stop_io', bob);
    await relay.store.accounts.remove(account.id);
    // With its default a client looks at nothing that is not encrypted (client.md 3.2).
    await core.rpc('batch_set_config', alice, { force_encryption: '0' });

    const failed = core.wait(alice, 'MsgFailed');
    const sent = await core.rpc<number>('misc_send_text_message', alice, chat, 'are you there?');
    assert.equal((await failed)['msgId'], sent);
    const message = await core.rpc<{ error: string | null }>('get_message', alice, sent);
    assert.match(message.error ?? '', /there is no such address here/);
  });
});
