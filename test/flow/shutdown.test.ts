import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDnsServer } from '../harness/dns-server.ts';
import { onEachStore } from '../harness/each-store.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { connectImap } from '../harness/imap-client.ts';
import { anyMailPorts, openTestCluster, testDomain } from '../harness/relay.ts';
import { makeDkimKey, signMessage } from '../harness/signed-mail.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import type { SmtpClient } from '../harness/smtp-client.ts';
import { TealProcess } from '../harness/teal-process.ts';

/** The five seconds of GRACE_TIME, and room for a machine under load: well below two of them one after the other. */
const ENDS_WITHIN_MS = 8500;
const SENDERS = 6;

const alice = `aliceinch@${testDomain}`;
const numbered = (id: string) =>
  Buffer.from(
    mail({ from: alice })
      .toString('latin1')
      .replace(/^Message-ID: .*$/m, `Message-ID: <${id}>`),
    'latin1',
  );

onEachStore('SIGTERM under load', false, (store) => {
  test('ends it within seconds, whoever dawdles on whatever port, and nothing acknowledged is lost', async () => {
    await using cluster = store === 'wildduck' ? await openTestCluster() : undefined;
    const dir = await mkdtemp(join(tmpdir(), 'teal-shutdown-'));
    await using dns = await createDnsServer();
    dns.silence('sel._domainkey.chat.test');
    const env = {
      MAIL_DOMAIN: testDomain,
      TEAL_DATA_DIR: join(dir, 'data'),
      ...anyMailPorts,
      TEAL_DNS_SERVERS: dns.address,
      TEAL_NOTIFIER_URL: 'http://127.0.0.1:9/notify',
      TEAL_MAX_LOAD_1M: '100000',
      TEAL_MAX_USER_SEND_PER_MINUTE: '60000',
      TEAL_MAX_USER_SEND_BURST_SIZE: '1000',
      ...cluster?.env,
    };
    let teal = await TealProcess.start({ cwd: dir, env });
    try {
      const clients: AsyncDisposable[] = [];
      const connect = async (
        key: 'smtp_port' | 'submission_port' | 'submissions_port',
      ): Promise<SmtpClient> => {
        const smtp = await connectSmtp({ port: teal.ports[key], tls: key === 'submissions_port' });
        clients.push(smtp);
        if (key !== 'submissions_port') await smtp.startTls();
        await smtp.command('EHLO client.test');
        if (key !== 'smtp_port') assert.equal((await smtp.login(alice, 'password-1')).code, 235);
        return smtp;
      };

      // On each port somebody who never ends a message; on port 25 one as well whose key DNS does not tell; idle readers.
      for (const key of ['smtp_port', 'submission_port', 'submissions_port'] as const) {
        const slow = await connect(key);
        for (const line of [`MAIL FROM:<${alice}>`, `RCPT TO:<${alice}>`, 'DATA']) await slow.command(line);
        slow.send('From: somebody\r\n');
      }
      const unknown = await connect('smtp_port');
      const signed = signMessage(mail(), { domain: 'chat.test', selector: 'sel', key: makeDkimKey() });
      const unanswered = unknown.deliver('alice@chat.test', [alice], signed).catch(() => undefined);
      const imap = await connectImap({ port: teal.ports.imaps_port, tls: true });
      clients.push(imap);
      assert.equal((await imap.command(`LOGIN ${alice} password-1`)).status, 'OK');

      const acknowledged: string[] = [];
      const underWay = Promise.withResolvers<void>();
      const load = Array.from({ length: SENDERS }, async (_, sender) => {
        const smtp = await connect('submissions_port');
        for (let count = 0; ; count += 1) {
          const id = `${sender}.${count}@localhost`;
          const reply = await smtp.deliver(alice, [alice], numbered(id)).catch(() => undefined);
          if (reply?.code !== 250) return reply?.code;
          acknowledged.push(id);
          if (acknowledged.length >= 5 * SENDERS) underWay.resolve();
        }
      });
      await underWay.promise;

      const asked = performance.now();
      assert.equal(await teal.end('SIGTERM'), 0);
      const took = performance.now() - asked;
      // Told to come back, or cut off: never a reply that ends a message for good.
      for (const code of await Promise.all(load)) assert.ok(code === undefined || code === 421, `${code}`);
      await unanswered;
      assert.ok(took < ENDS_WITHIN_MS, `${took} ms`);
      for (const client of clients) await client[Symbol.asyncDispose]();

      teal = await TealProcess.start({ cwd: dir, env });
      await using reader = await connectImap({ port: teal.ports.imaps_port, tls: true });
      await reader.command(`LOGIN ${alice} password-1`);
      await reader.command('SELECT INBOX');
      const { responses } = await reader.command('UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])');
      const kept = new Set(
        responses.flatMap(({ literals }) => /<(.*)>/.exec(String(literals[0]))?.[1] ?? []),
      );
      assert.deepEqual(
        acknowledged.filter((id) => !kept.has(id)),
        [],
      );
    } finally {
      await teal[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    }
  });
});
