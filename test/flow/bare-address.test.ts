import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { onEachStore } from '../harness/each-store.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import { createFederation } from '../harness/federation.ts';
import type { Federation } from '../harness/federation.ts';
import { connectImap } from '../harness/imap-client.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { createScriptedSmtp } from '../harness/scripted-smtp.ts';
import type { ScriptedSmtp } from '../harness/scripted-smtp.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { until } from '../harness/until.ts';
import { ask } from '../harness/web-client.ts';

const ADDRESS = '127.0.0.1';
const DOMAIN = `[${ADDRESS}]`;
const PASSWORD = 'a-password-of-somebody';

/** The link on a page of the relay, as a browser reads it. */
async function linkOnPage(relay: TestRelay): Promise<string> {
  const { text } = await ask(relay.ports.https_port ?? 0, 'GET', '/');
  const [, link = ''] = /href="(dclogin:[^"]+)"/.exec(text) ?? [];
  return link.replaceAll('&amp;', '&');
}

async function linkOfNew(relay: TestRelay): Promise<string> {
  const answer = await ask(relay.ports.https_port ?? 0, 'POST', '/new');
  return String(answer.json()['dclogin_url']);
}

onEachStore('Delta Chat on a relay at a bare address', withoutCore('newest'), (store) => {
  let federation: Federation;
  let bare: TestRelay;
  let named: TestRelay;
  let core: DeltaChat;
  let alice: number;
  let bob: number;
  const log = createEventLog();

  before(async () => {
    federation = await createFederation(['two.test']);
    const { env, overrides } = federation.surroundings();
    bare = await startTestRelay(
      { ...env, MAIL_DOMAIN: ADDRESS, TEAL_STORE: store },
      { ...overrides, log: log.log },
    );
    named = await federation.relay('two.test', { TEAL_STORE: store }, { log: log.log });
    federation.places.set(ADDRESS, { smtp: bare.ports.smtp_port, https: bare.ports.https_port ?? 0 });
    core = await DeltaChat.start();
  });
  after(async () => {
    await core[Symbol.asyncDispose]();
    await bare[Symbol.asyncDispose]();
    await federation[Symbol.asyncDispose]();
  });

  test('the links of the page and of /new lead in', async () => {
    alice = await core.accountFromLink(await linkOnPage(bare));
    bob = await core.accountFromLink(await linkOfNew(bare));
    for (const id of [alice, bob])
      assert.match(
        await core.rpc<string>('get_config', id, 'configured_addr'),
        /^[a-z0-9]{9}@\[127\.0\.0\.1\]$/,
      );
  });

  test('two there verify each other and write both ways', async () => {
    const chat = await secureJoin({ core, id: alice }, { core, id: bob });
    const toAlice = core.incoming(alice, (text) => text === 'hello Alice');
    await core.rpc('misc_send_text_message', bob, chat, 'hello Alice');
    const { chatId } = await toAlice;
    await core.rpc('accept_chat', alice, chatId);
    const toBob = core.incoming(bob, (text) => text === 'hello Bob');
    await core.rpc('misc_send_text_message', alice, chatId, 'hello Bob');
    await toBob;
  });

  test('so does one there with one on a relay that has a name', async () => {
    const carol = await core.accountFromLink(named.loginLink('carolcaro', PASSWORD));
    const chat = await secureJoin({ core, id: alice }, { core, id: carol });
    const toAlice = core.incoming(alice, (text) => text === 'hello from afar');
    await core.rpc('misc_send_text_message', carol, chat, 'hello from afar');
    const { chatId } = await toAlice;
    await core.rpc('accept_chat', alice, chatId);
    const toCarol = core.incoming(carol, (text) => text === 'hello afar');
    await core.rpc('misc_send_text_message', alice, chatId, 'hello afar');
    await toCarol;
    assert.deepEqual(
      log.events.filter(({ event }) => event === 'mail-deferred' || event === 'mail-failed'),
      [],
    );
  });

  test('no client has warned of anything', () => {
    assert.deepEqual(core.warnings(), []);
  });
});

onEachStore('mail of a relay at a bare address', false, (store) => {
  let federation: Federation;
  let bare: TestRelay;
  let named: TestRelay;
  let other: ScriptedSmtp;
  const alice = `alicealic@${DOMAIN}`;
  const bob = 'bobbybobb@two.test';

  before(async () => {
    federation = await createFederation(['two.test', 'other.test']);
    const { env, overrides } = federation.surroundings();
    const more = { TEAL_STORE: store, TEAL_HTTPS_PORT: 'off' };
    bare = await startTestRelay({ ...env, ...more, MAIL_DOMAIN: ADDRESS }, overrides);
    federation.places.set(ADDRESS, { smtp: bare.ports.smtp_port });
    named = await federation.relay('two.test', more);
    other = await createScriptedSmtp(await federation.foreign('other.test', {}));
    federation.places.set('other.test', { smtp: other.port });
    for (const [relay, address] of [
      [bare, alice],
      [named, bob],
    ] as const)
      await relay.login(address, PASSWORD, { peer: '127.0.0.1' });
  });
  after(async () => {
    await bare[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await federation[Symbol.asyncDispose]();
  });

  async function submit(relay: TestRelay, sender: string, recipients: readonly string[]): Promise<void> {
    await using smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
    assert.equal((await smtp.login(sender, PASSWORD)).code, 235);
    assert.match((await smtp.deliver(sender, recipients, mail({ from: `<${sender}>` }))).text, /^250 /);
  }

  /** The message with this UID in the INBOX, as soon as it is there. */
  async function received(relay: TestRelay, address: string, uid: number): Promise<string> {
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await imap.command(`LOGIN "${address}" ${PASSWORD}`);
    let text: string | undefined;
    await until(async () => {
      await imap.command('SELECT INBOX');
      const { responses } = await imap.command(`UID FETCH ${uid} (BODY.PEEK[])`);
      text = responses.flatMap(({ literals }) => literals.slice(0, 1))[0]?.toString('latin1');
      return text !== undefined;
    }, `message ${uid} of ${address} is there`);
    return text ?? '';
  }

  test('it is called by its address in brackets, and has a postmaster', async () => {
    await using smtp = await connectSmtp({ port: bare.ports.smtp_port, ehlo: false });
    const ehlo = await smtp.command('EHLO client.test');
    assert.match(ehlo.lines[0] ?? '', /^250-\[127\.0\.0\.1\]/);
    await smtp.startTls();
    await smtp.command('EHLO client.test');
    await smtp.command('MAIL FROM:<bob@other.test>');
    assert.equal((await smtp.command('RCPT TO:<Postmaster>')).code, 250);
    assert.equal((await smtp.command(`RCPT TO:<${alice}>`)).code, 250);
    assert.equal((await smtp.command('RCPT TO:<alicealic@[127.0.0.2]>')).code, 554);
  });

  test('what leaves is unsigned, and names the relay by its address', async () => {
    await submit(bare, alice, ['somebody@other.test']);
    await until(() => other.transactions.length > 0, 'it has arrived');
    const [{ sender, text } = { sender: '', text: '' }] = other.transactions;
    assert.equal(sender, alice);
    assert.match(text, /^From: <alicealic@\[127\.0\.0\.1\]>\r$/m);
    assert.doesNotMatch(text, /^DKIM-Signature:/im);
    const [connection] = other.connections;
    assert.ok(connection?.commands.includes(`EHLO ${DOMAIN}`), connection?.commands.join());
  });

  test('it counts from that very address alone', async () => {
    for (const [from, code] of [
      [ADDRESS, 250],
      ['127.0.0.2', 554],
    ] as const) {
      await using smtp = await connectSmtp({ port: named.ports.smtp_port, from });
      await smtp.startTls();
      await smtp.command('EHLO x.test');
      assert.equal((await smtp.deliver(alice, [bob], mail({ from: `<${alice}>` }))).code, code, from);
    }
    await received(named, bob, 1);
  });

  test('a sender there hears of what was not delivered', async () => {
    await submit(bare, alice, ['somebody@nowhere.test']);
    const bounce = await received(bare, alice, 1);
    assert.match(bounce, /^From: "Mail Delivery" <mailer-daemon@\[127\.0\.0\.1\]>\r$/m);
    assert.match(bounce, /^To: <alicealic@\[127\.0\.0\.1\]>\r$/m);
    assert.match(bounce, /^Message-ID: <[0-9a-f]+@\[127\.0\.0\.1\]>\r$/m);
    assert.match(bounce, /^Reporting-MTA: dns; \[127\.0\.0\.1\]\r$/m);
    assert.match(bounce, /^Final-Recipient: rfc822; somebody@nowhere\.test\r$/m);
  });

  test('a sender elsewhere does, too: the bounce comes from that address, so it needs no signature', async () => {
    await submit(named, bob, [`nobodyatall@${DOMAIN}`]);
    const bounce = await received(named, bob, 2);
    assert.match(bounce, /^From: "Mail Delivery" <mailer-daemon@\[127\.0\.0\.1\]>\r$/m);
    assert.match(bounce, /^Final-Recipient: rfc822; nobodyatall@\[127\.0\.0\.1\]\r$/m);
  });
});
