import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectImap } from '../harness/imap-client.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import type { DnsServer } from '../harness/dns-server.ts';
import { onEachStore } from '../harness/each-store.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { makeDkimKey, signMessage } from '../harness/signed-mail.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

onEachStore('mail from outside comes to port 25', false, (store) => {
  let relay: TestRelay;
  let dns: DnsServer;
  let alice: string;
  const key = makeDkimKey();
  const sign = (message: Buffer, more: Partial<Parameters<typeof signMessage>[1]> = {}) =>
    signMessage(message, { domain: 'chat.test', selector: 'sel', key, ...more });

  before(async () => {
    dns = await createDnsServer();
    dns.setTxt('sel._domainkey.chat.test', key.record);
    relay = await startTestRelay({ TEAL_STORE: store, TEAL_DNS_SERVERS: dns.address });
    alice = `aliceinch@${relay.domain}`;
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    assert.equal((await imap.command(`LOGIN ${alice} password-1`)).status, 'OK');
  });
  after(async () => {
    await relay[Symbol.asyncDispose]();
    await dns[Symbol.asyncDispose]();
  });

  async function deliver(message: Buffer, options: { sender?: string; recipients?: readonly string[] } = {}) {
    await using smtp = await connectSmtp({ port: relay.ports.smtp_port });
    await smtp.startTls();
    assert.equal((await smtp.command('EHLO relay.chat.test')).code, 250);
    const reply = await smtp.deliver(
      options.sender ?? 'alice@chat.test',
      options.recipients ?? [alice],
      message,
    );
    return reply.text;
  }

  async function inbox(): Promise<Buffer[]> {
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await imap.command(`LOGIN ${alice} password-1`);
    await imap.command('SELECT INBOX');
    const { responses } = await imap.command('UID FETCH 1:* (BODY.PEEK[])');
    return responses.flatMap(({ literals }) => literals.slice(0, 1));
  }

  test('signed by its domain it is delivered, without signature and trace fields, else byte for byte', async () => {
    const message = mail();
    const trace =
      'Received: from a by b; Wed, 18 Nov 2026 12:42:46 +0000\r\nAuthentication-Results: b; none\r\n';
    assert.match(await deliver(Buffer.concat([Buffer.from(trace), sign(message)])), /^250 /);
    const [delivered] = await inbox();
    assert.ok(delivered?.equals(message));
  });

  test('addressed with a tag, in capitals, and beside an unknown address it is delivered once', async () => {
    const count = (await inbox()).length;
    const recipients = [alice.toUpperCase(), alice.replace('@', '+tag@'), `nobodyatall@${relay.domain}`];
    assert.match(await deliver(sign(mail()), { recipients }), /^250 /);
    assert.equal((await inbox()).length, count + 1);
  });

  test('a bounce has no sender and passes in the clear', async () => {
    const bounce = mail({
      from: 'MAILER-DAEMON@chat.test',
      contentType: 'Content-Type: multipart/report; report-type=delivery-status; boundary="b0undary=_1"',
      parts: ['Content-Type: text/plain\r\n\r\nIt did not arrive.'],
      headers: ['Auto-Submitted: auto-replied'],
    });
    assert.match(await deliver(sign(bounce), { sender: '' }), /^250 /);
  });

  const refusals: readonly (readonly [string, () => Buffer, RegExp])[] = [
    [
      'without a signature',
      () => mail(),
      /^554 5\.7\.1 No DKIM signature found.*No valid DKIM signature found/,
    ],
    ['signed by another domain', () => sign(mail(), { domain: 'other.test' }), /^554 5\.7\.1 No valid DKIM/],
    ['changed on its way', () => Buffer.concat([sign(mail()), Buffer.from('more\r\n')]), /^5(54|23) /],
    [
      'in the clear',
      () => sign(mail({ contentType: 'Content-Type: text/plain', parts: [], ending: 'hi\r\n' })),
      /^523 Encryption Needed: Invalid Unencrypted Mail$/,
    ],
    [
      'from two people',
      () => sign(mail({ from: '<alice@chat.test>, <bob@chat.test>' })),
      /^500 Invalid FROM header/,
    ],
    [
      'from nobody',
      () =>
        sign(
          Buffer.from(
            mail()
              .toString()
              .replace(/^From: .*\r\n/m, ''),
          ),
        ),
      /^500 Invalid FROM header/,
    ],
    [
      'from an address literal that is elsewhere',
      () => mail({ from: '<a@[192.0.2.1]>' }),
      /^554 5\.7\.1 From address literal/,
    ],
  ];
  for (const [what, message, reply] of refusals) {
    test(`${what} it is refused, and nothing is kept`, async () => {
      const count = (await inbox()).length;
      assert.match(await deliver(message()), reply);
      assert.equal((await inbox()).length, count);
    });
  }

  test('from an address literal it counts from that very address', async () => {
    assert.match(await deliver(mail({ from: '<someone@[127.0.0.1]>' })), /^250 /);
  });

  test('while DNS is in trouble it is put off', async () => {
    dns.fail('late._domainkey.chat.test');
    assert.match(await deliver(sign(mail(), { selector: 'late' })), /^451 4\.7\.5 /);
    dns.remove('late._domainkey.chat.test');
    dns.setTxt('late._domainkey.chat.test', key.record);
    assert.match(await deliver(sign(mail(), { selector: 'late' })), /^250 /);
  });

  test('an account that takes cleartext gets it, but not beside one that does not', async () => {
    const bob = `cleartext@${relay.domain}`;
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await imap.command(`LOGIN ${bob} password-2`);
    const account = await relay.store.accounts.find(bob);
    assert.ok(account);
    await relay.store.accounts.setAcceptsCleartext(account.id, true);
    const newsletter = sign(mail({ contentType: 'Content-Type: text/plain', parts: [], ending: 'news\r\n' }));
    assert.match(await deliver(newsletter, { recipients: [bob] }), /^250 /);
    assert.match(await deliver(newsletter, { recipients: [bob, alice] }), /^523 /);
    assert.match(await deliver(newsletter, { recipients: [`nobodyatall@${relay.domain}`] }), /^523 /);
  });

  test('somebody elsewhere gets no mail through us', async () => {
    assert.match(
      await deliver(sign(mail()), { recipients: ['bob@elsewhere.test'] }),
      /^554 5\.7\.1 <bob@elsewhere\.test>: Relay access denied$/,
    );
  });

  test('for all of it DNS was asked for keys; beside them, the way of a bounce was looked for', () => {
    const ofBounce = ['chat.test', '_mta-sts.chat.test'];
    const questions = dns.questions.filter(({ name }) => !ofBounce.includes(name));
    assert.ok(questions.length > 0);
    for (const { name, type } of questions) {
      assert.match(name, /\._domainkey\.chat\.test$/);
      assert.equal(type, 'TXT');
    }
  });
});
