import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { dkimRecords } from '../../src/dkim/keys.ts';
import { armor, controlPart, dataPart, encryptedPackets, mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import type { EventLog } from '../harness/event-log.ts';
import { createFederation } from '../harness/federation.ts';
import type { Federation } from '../harness/federation.ts';
import { connectImap } from '../harness/imap-client.ts';
import type { ImapClient } from '../harness/imap-client.ts';
import { startOpenDkim } from '../harness/opendkim.ts';
import { without } from '../harness/peers.ts';
import { ORIGINATING, startPostfix } from '../harness/postfix.ts';
import type { Postfix } from '../harness/postfix.ts';
import { verifyWithMailauth } from '../harness/mailauth.ts';
import { verifyWithPython } from '../harness/python-dkim.ts';
import type { TestRelay } from '../harness/relay.ts';
import { makeDkimKey, signMessage } from '../harness/signed-mail.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

const PASSWORD = 'a-password-of-somebody';
/** Longer than any step takes on a loaded machine. */
const PATIENCE_MS = 30_000;
const MAX_SIZE = 1_000_000;
const alice = 'alicealic@teal.test';
const anna = 'annaannaa@teal.test';
const bob = 'bob@post.test';
const carol = 'carol@post.test';

/** Waits for mail in an INBOX and tells what came, each message once. */
class Inbox {
  readonly #imap: ImapClient;
  #seen = 0;
  readonly #fresh: Buffer[] = [];

  private constructor(imap: ImapClient) {
    this.#imap = imap;
  }

  static async open(relay: TestRelay, address: string): Promise<Inbox> {
    const imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await imap.command(`LOGIN ${address} ${PASSWORD}`);
    await imap.command('SELECT INBOX');
    return new Inbox(imap);
  }

  /** The first message that matches and was not handed out before. */
  async received(pattern: RegExp): Promise<Buffer> {
    using patience = new DisposableStack();
    patience.adopt(
      setTimeout(
        () => this.#imap.socket.destroy(new Error(`no message with ${String(pattern)}`)),
        PATIENCE_MS,
      ),
      clearTimeout,
    );
    for (;;) {
      const more = await this.look();
      const at = this.#fresh.findIndex((message) => pattern.test(message.toString('latin1')));
      if (at >= 0) return this.#fresh.splice(at, 1)[0]!;
      if (more) continue;
      this.#imap.write('I IDLE\r\n');
      while (!(await this.#imap.next()).text.endsWith(' EXISTS'));
      this.#imap.write('DONE\r\n');
      await this.#imap.until('I');
    }
  }

  /** What was not handed out. */
  async rest(): Promise<readonly Buffer[]> {
    while (await this.look());
    return this.#fresh;
  }

  /** Answers with whether something came meanwhile, which is not looked at yet. */
  private async look(): Promise<boolean> {
    const { responses, untagged } = await this.#imap.command(`UID FETCH ${this.#seen + 1}:* (BODY.PEEK[])`);
    for (const { text, literals } of responses) {
      const uid = Number(/\bUID (\d+)/.exec(text)?.[1] ?? 0);
      // RFC 3501 6.4.8: `n:*` has the last message, however small its UID is.
      if (literals[0] === undefined || uid <= this.#seen) continue;
      this.#seen = uid;
      this.#fresh.push(literals[0]);
    }
    return untagged.some((text) => text.endsWith(' EXISTS'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#imap[Symbol.asyncDispose]();
  }
}

/** What OpenDKIM has noted of the signatures of teal.test. */
function verdictsOf(message: string): string[] {
  const field = /^Authentication-Results: post\.test;.*?\r\n(?=\S)/ms.exec(message)?.[0] ?? '';
  const verdicts = field.matchAll(/dkim=(\w+)(?: \([^)]*\))? header\.d=teal\.test [^;]*header\.a=([\w-]+)/g);
  return [...verdicts].map(([, result, algorithm]) => `${algorithm} ${result}`).toSorted();
}
const BOTH_PASS = ['ed25519-sha256 pass', 'rsa-sha256 pass'];

const skip = without('postfix (as root)') || without('opendkim');

describe('Postfix with OpenDKIM', { skip }, () => {
  const all = new AsyncDisposableStack();
  const key = makeDkimKey();
  let log: EventLog;
  let federation: Federation;
  let teal: TestRelay;
  let postfix: Postfix;
  let inbox: Inbox;
  let records: Record<string, string>;

  before(async () => {
    log = createEventLog();
    federation = all.use(await createFederation(['teal.test', 'post.test']));
    teal = await federation.relay(
      'teal.test',
      { TEAL_HTTPS_PORT: 'off', TEAL_MAX_USER_SEND_BURST_SIZE: '100' },
      { log: log.log },
    );
    for (const address of [alice, anna])
      await teal.login(address, PASSWORD, { countsAsUse: true, peer: '127.0.0.1' });
    const { dkim_selector_rsa: rsa, dkim_selector_ed25519: ed25519 } = teal.settings;
    const published = await dkimRecords(teal.store.values, 'teal.test', { rsa, ed25519 });
    records = Object.fromEntries(published.map(({ name, value }) => [name, value]));

    federation.dns.setTxt('sel._domainkey.post.test', key.record);
    const filter = { signs: ORIGINATING, dns: federation.dns.address };
    const opendkim = all.use(
      await startOpenDkim({ domain: 'post.test', selector: 'sel', key: key.pem, filter }),
    );
    postfix = all.use(
      await startPostfix({
        domain: 'post.test',
        users: ['bob', 'carol'],
        leavers: ['dave'],
        maxSize: MAX_SIZE,
        // Its port is known when it has started.
        certificate: await federation.foreign('post.test', {}),
        trustedCa: federation.surroundings().overrides.trustedCa ?? '',
        routes: { 'teal.test': teal.ports.smtp_port },
        milter: opendkim.socket,
      }),
    );
    federation.places.set('post.test', { smtp: postfix.port });
    inbox = all.use(await Inbox.open(teal, alice));
  });
  after(() => all.disposeAsync());

  async function submit(recipients: readonly string[], message: Buffer): Promise<void> {
    await using smtp = await connectSmtp({ port: teal.ports.submissions_port, tls: true });
    assert.equal((await smtp.login(alice, PASSWORD)).code, 235);
    assert.match((await smtp.deliver(alice, recipients, message)).text, /^250 /);
  }

  /** With a line that begins with a dot, as RFC 5322 2.2 lets a field's name do. */
  const from = (sender: string, id: string, size?: number) =>
    mail({
      from: `<${sender}>`,
      headers: [`X-Test: ${id}`, '.Dot: x'],
      parts: [controlPart, dataPart(armor(encryptedPackets(size)))],
    });
  const fromAlice = (id: string, size?: number) => from(alice, id, size);
  const fromBob = (id: string) => from(bob, id);
  const cleartext = (from: string, id: string) =>
    Buffer.from(`From: <${from}>\r\nTo: <${alice}>\r\nSubject: x\r\nX-Test: ${id}\r\n\r\nplain words\r\n`);
  const titled = (id: string) => new RegExp(`^X-Test: ${id}\r$`, 'm');

  /** Without what Postfix has put on top. */
  function withoutTrace(message: Buffer): Buffer {
    const start = message.indexOf('DKIM-Signature:');
    assert.ok(start > 0);
    return message.subarray(start);
  }
  function withoutSignatures(message: Buffer): string {
    return message.toString('latin1').replace(/^(?:DKIM-Signature:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)+)+/, '');
  }

  const mailauth = (message: Buffer) => verifyWithMailauth(message, records);

  describe('Teal sends to it', () => {
    test('a message arrives over TLS, byte for byte, and everybody takes both of its signatures', async (t) => {
      const message = fromAlice('first');
      await submit([bob], message);
      const arrived = await postfix.received('bob', titled('first'));
      const [, trace = ''] = /^(.*?)(?=^DKIM-Signature)/ms.exec(arrived.toString('latin1')) ?? [];
      assert.match(trace, /^Return-Path: <alicealic@teal\.test>\r$/m);
      assert.deepEqual(verdictsOf(trace), BOTH_PASS);
      assert.match(await postfix.logged(/TLS connection established from/), /TLSv1\.3/);
      assert.equal((await log.next('mail-delivered'))['via'], 'smtp');

      const signed = withoutTrace(arrived);
      assert.equal(withoutSignatures(signed), message.toString('latin1'));
      assert.deepEqual(await mailauth(signed), ['pass', 'pass']);
      const noPython = without('python3-dkim');
      if (noPython) t.diagnostic(noPython);
      else assert.deepEqual(await verifyWithPython([signed], records, 2), [[true, true]]);
    });

    test('of several recipients those that it knows have the message, and for the other comes one bounce', async () => {
      await submit([bob, 'nobody@post.test', carol], fromAlice('several'));
      await postfix.received('bob', titled('several'));
      await postfix.received('carol', titled('several'));
      const bounce = (await inbox.received(/^X-Failed-Recipients: /m)).toString();
      assert.match(bounce, /^From: "Mail Delivery" <mailer-daemon@teal\.test>\r$/m);
      assert.match(bounce, /^X-Failed-Recipients: nobody@post\.test\r$/m);
      assert.match(bounce, /^Status: 5\.1\.1\r$/m);
      assert.match(bounce, /^Remote-MTA: dns; post\.test\r$/m);
      assert.match(
        bounce.replaceAll('\r\n ', ' '),
        /^Diagnostic-Code: smtp; 550 5\.1\.1 <nobody@post\.test>: Recipient address rejected: User unknown in virtual mailbox table\r$/m,
      );
    });

    test('two that it does not know are told of in one bounce', async () => {
      await submit(['nobody@post.test', 'noone@post.test'], fromAlice('none'));
      const bounce = (await inbox.received(/^X-Failed-Recipients: /m)).toString();
      assert.match(bounce, /^X-Failed-Recipients: nobody@post\.test, noone@post\.test\r$/m);
    });

    test('what it takes and cannot deliver it bounces itself, signed, and the bounce is let in', async () => {
      await submit(['dave@post.test'], fromAlice('late'));
      const bounce = (await inbox.received(/^From: .*MAILER-DAEMON@post\.test/m)).toString();
      assert.match(bounce, /^Final-Recipient: rfc822; dave@post\.test\r$/m);
    });

    test('what is larger than it takes is not sent, but bounced', async () => {
      await submit([bob], fromAlice('large', MAX_SIZE));
      const bounce = (await inbox.received(/^X-Failed-Recipients: /m)).toString();
      assert.match(bounce, /^Status: 5\.3\.4\r$/m);
      assert.match(bounce, /takes messages of 1000000 bytes at most/);
    });

    test('ten one after the other go over one connection', async () => {
      // Not at once: OpenDKIM 2.11 dies of that now and then.
      const connections = () => postfix.log.filter((line) => line.includes(': connect from ')).length;
      const before = connections();
      for (let n = 0; n < 10; n += 1) {
        await submit([bob], fromAlice(`one of ten, ${n}`));
        await postfix.received('bob', titled(`one of ten, ${n}`));
      }
      assert.equal(connections(), before);
    });
  });

  describe('it sends to Teal', () => {
    test('encrypted mail that OpenDKIM has signed arrives byte for byte, to a host whose certificate was verified', async () => {
      const message = fromBob('to two');
      await postfix.submit(bob, [alice, anna], message);
      await using other = await Inbox.open(teal, anna);
      for (const box of [inbox, other])
        assert.equal((await box.received(titled('to two'))).toString('latin1'), message.toString('latin1'));
      assert.match(await postfix.logged(/TLS connection established to/), / Verified TLS .* TLSv1\.3 /);
    });

    test('cleartext comes back with 523', async () => {
      await postfix.submit(bob, [alice], cleartext(bob, 'clear'));
      const bounce = (await postfix.received('bob', /^Diagnostic-Code: /m)).toString();
      assert.match(bounce, titled('clear'));
      assert.match(
        bounce.replace(/\r\n +/g, ' '),
        /^Diagnostic-Code: smtp; 523 Encryption Needed: Invalid Unencrypted Mail/m,
      );
    });

    test('so does what nobody has signed, with 554', async () => {
      await postfix.submit(bob, [alice], fromBob('unsigned'), { signed: false });
      const bounce = (await postfix.received('bob', /^Diagnostic-Code: /m)).toString();
      assert.match(bounce, titled('unsigned'));
      assert.match(
        bounce.replace(/\r\n +/g, ' '),
        /^Diagnostic-Code: smtp; 554.5\.7\.1 No DKIM signature found/m,
      );
    });

    test('for an address that nobody has at Teal comes one bounce, and its signatures hold; others have the message', async () => {
      await postfix.submit(bob, ['nobodyatal@teal.test', alice], fromBob('unknown'));
      await inbox.received(titled('unknown'));
      const bounce = (await postfix.received('bob', /^X-Failed-Recipients: /m)).toString();
      assert.match(bounce, /^Return-Path: <>\r$/m);
      assert.match(bounce, /^From: "Mail Delivery" <mailer-daemon@teal\.test>\r$/m);
      assert.match(bounce, /^X-Failed-Recipients: nobodyatal@teal\.test\r$/m);
      assert.deepEqual(verdictsOf(bounce), BOTH_PASS);
    });

    test('twenty at once all arrive', async () => {
      const ids = Array.from({ length: 20 }, (_, n) => `one of twenty, ${n}`);
      const signed = (id: string) => signMessage(fromBob(id), { domain: 'post.test', selector: 'sel', key });
      await Promise.all(ids.map((id) => postfix.submit(bob, [alice], signed(id), { signed: false })));
      for (const id of ids) await inbox.received(titled(id));
    });
  });

  test('nothing came that is not told of above, and nothing waits', async () => {
    assert.deepEqual((await inbox.rest()).map(String), []);
    for (const user of ['bob', 'carol']) assert.deepEqual((await postfix.rest(user)).map(String), []);
    assert.deepEqual(await teal.store.queue.destinations(10), []);
    assert.deepEqual(
      log.events.filter(({ event }) => event === 'mail-deferred' || event === 'fault'),
      [],
    );
    assert.deepEqual(
      postfix.log.filter((line) => /status=deferred|\b(warning|error|fatal|panic):/.test(line)),
      [],
    );
  });
});
