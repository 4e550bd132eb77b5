import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createDnsServer } from '../harness/dns-server.ts';
import type { DnsServer } from '../harness/dns-server.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { connectImap } from '../harness/imap-client.ts';
import type { ImapClient } from '../harness/imap-client.ts';
import { startOpenDkim } from '../harness/opendkim.ts';
import { without } from '../harness/peers.ts';
import { signWithPython } from '../harness/python-dkim.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { makeDkimKey } from '../harness/signed-mail.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

const key = makeDkimKey();
const message = mail({ from: 'Alice <alice@example.org>', headers: ['Autocrypt: addr=alice@example.org'] });

const signers = {
  'python3-dkim': (selector: string) =>
    signWithPython(message, { domain: 'example.org', selector, key, canonicalization: 'relaxed/simple' }),
  opendkim: async (selector: string) => {
    await using opendkim = await startOpenDkim({ domain: 'example.org', selector, key: key.pem });
    return await opendkim.sign(message);
  },
} as const;

function edit(signed: Buffer, from: string | RegExp, to: string): Buffer {
  const edited = Buffer.from(signed.toString('latin1').replace(from, to), 'latin1');
  assert.ok(!edited.equals(signed), `${String(from)} is there`);
  return edited;
}

const refused = /^554 5\.7\.1 No valid DKIM signature found$/;
/** Each still has the form of an encrypted message: it is the signature alone that speaks against it. */
const breaks: readonly (readonly [string, (signed: Buffer) => Buffer, RegExp])[] = [
  ['a byte of the body', (signed) => edit(signed, '=aB3/', '=aB4/'), refused],
  ['the name of the author', (signed) => edit(signed, 'Alice <', 'Alicia <'), refused],
  ['the author', (signed) => edit(signed, '<alice@', '<mallory@'), refused],
  [
    'a second From',
    (signed) => Buffer.concat([Buffer.from('From: eve@example.org\r\n'), signed]),
    /^500 Invalid FROM/,
  ],
  ['the domain that signs', (signed) => edit(signed, 'd=example.org', 'd=example.com'), refused],
  ['a selector without a key', (signed) => edit(signed, 's=sel', 's=nil'), refused],
  ['a selector whose key is revoked', (signed) => edit(signed, 's=sel', 's=old'), refused],
  ['a selector with another key', (signed) => edit(signed, 's=sel', 's=two'), refused],
  ['a selector that DNS fails for', (signed) => edit(signed, 's=sel', 's=bad'), /^451 4\.7\.5 /],
  [
    'a signature cut short',
    (signed) => edit(signed, /(\bb=[^;]{20,40})[^;]*?\r\n(?=\S)/s, '$1\r\n'),
    refused,
  ],
  ['another algorithm', (signed) => edit(signed, 'a=rsa-sha256', 'a=rsa-sha1'), refused],
  ['no signature', () => message, /^554 5\.7\.1 No DKIM signature found.*No valid DKIM signature found/],
];

describe('mail signed by others comes to port 25', () => {
  let dns: DnsServer;
  let relay: TestRelay;
  let imap: ImapClient;
  let alice: string;

  before(async () => {
    dns = await createDnsServer();
    dns.setTxt('sel._domainkey.example.org', key.record);
    dns.setTxt('old._domainkey.example.org', 'v=DKIM1; k=rsa; p=');
    dns.setTxt('two._domainkey.example.org', makeDkimKey().record);
    dns.fail('bad._domainkey.example.org');
    relay = await startTestRelay({ TEAL_DNS_SERVERS: dns.address });
    alice = `recipient@${relay.domain}`;
    imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    assert.equal((await imap.command(`LOGIN ${alice} password-1`)).status, 'OK');
  });
  after(async () => {
    await imap[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
    await dns[Symbol.asyncDispose]();
  });

  async function deliver(signed: Buffer): Promise<string> {
    await using smtp = await connectSmtp({ port: relay.ports.smtp_port });
    await smtp.startTls();
    await smtp.command('EHLO mail.example.org');
    return (await smtp.deliver('alice@example.org', [alice], signed)).text;
  }

  async function inbox(): Promise<Buffer[]> {
    await imap.command('SELECT INBOX');
    const { responses } = await imap.command('UID FETCH 1:* (BODY.PEEK[])');
    return responses.flatMap(({ literals }) => literals.slice(0, 1));
  }

  for (const [signer, sign] of Object.entries(signers)) {
    test(
      `${signer}: whole it is delivered, broken it is not`,
      { skip: without(signer as keyof typeof signers) },
      async () => {
        const signed = await sign('sel');
        const count = (await inbox()).length;
        assert.match(await deliver(signed), /^250 /);
        const delivered = await inbox();
        assert.equal(delivered.length, count + 1);
        assert.ok(
          delivered.at(-1)?.equals(message),
          'what comes out is what was signed, without the signature',
        );
        for (const [what, breakIt, reply] of breaks)
          assert.match(await deliver(breakIt(signed)), reply, what);
        assert.equal((await inbox()).length, count + 1, 'nothing of it was kept');
      },
    );
  }

  test('DNS was asked for keys of the author’s domain and for nothing else', () => {
    assert.ok(dns.questions.length > 0);
    for (const { name, type } of dns.questions) {
      assert.match(name, /^[a-z]{3}\._domainkey\.example\.org$/);
      assert.equal(type, 'TXT');
    }
  });
});
