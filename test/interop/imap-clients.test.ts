import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { ImapFlow } from 'imapflow';
import { ADDRESS, startImap } from '../harness/imap-server.ts';
import { without } from '../harness/peers.ts';

const run = promisify(execFile);

function mail(size: number): Buffer {
  return Buffer.from(
    `From: Bob <bob@_teal.test>\r\nMessage-ID: <${size}@x>\r\nSubject: [...]\r\n\r\n${randomBytes(size).toString('base64').replace(/.{76}/g, '$&\r\n')}\r\n`,
  );
}

const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

for (const mode of ['implicit', 'starttls'] as const) {
  test(`imapflow does a whole round over ${mode} TLS`, async () => {
    await using imap = await startImap({ mode, options: { compress: true } });
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: imap.listener.port,
      secure: mode === 'implicit',
      auth: { user: ADDRESS, pass: 'secret' },
      tls: { rejectUnauthorized: false },
      logger: false,
    });
    await client.connect();
    try {
      const first = mail(1000);
      await imap.deliver(first);
      await client.mailboxCreate('box');
      assert.deepEqual((await client.list()).map(({ path }) => path).sort(), ['INBOX', 'box']);
      const status = await client.status('INBOX', { messages: true, uidNext: true, unseen: true });
      assert.deepEqual([status.messages, status.uidNext, status.unseen], [1, 2, 1]);

      await client.mailboxOpen('INBOX');
      const exists = new Promise<{ count: number }>((resolve) => client.once('exists', resolve));
      const idling = client.idle();
      await imap.deliver(mail(300_000));
      assert.equal((await exists).count, 2);
      const appended = await client.append('INBOX', mail(5000), ['\\Seen'], new Date(0));
      await idling;
      assert.equal(appended && appended.uid, 3);

      const got = await client.fetchOne('1', {
        source: true,
        envelope: true,
        bodyStructure: true,
        flags: true,
      });
      assert.ok(got && got.source && sum(got.source) === sum(first));
      assert.equal(got.envelope?.from?.[0]?.address, 'bob@_teal.test');
      assert.equal(got.bodyStructure?.type, 'text/plain');
      const sizes: number[] = [];
      for await (const { size, uid } of client.fetch('1:*', { size: true, headers: ['message-id'] })) {
        sizes.push(uid);
        assert.ok(size && size > 1000);
      }
      assert.deepEqual(sizes, [1, 2, 3]);

      assert.deepEqual(await client.search({ seen: false }, { uid: true }), [1, 2]);
      assert.ok(await client.messageFlagsAdd('1', ['\\Flagged'], { uid: true }));
      const copied = await client.messageCopy('1:2', 'box', { uid: true });
      assert.deepEqual(
        copied && copied.uidMap,
        new Map([
          [1, 1],
          [2, 2],
        ]),
      );
      await client.messageMove('3', 'box', { uid: true });
      await client.messageDelete('1', { uid: true });
      const left = await client.search({ all: true }, { uid: true });
      assert.deepEqual(left, [2]);
      const quota = await client.getQuota('INBOX');
      assert.ok(quota && quota.storage?.limit === 100 * 1024 * 1024);
      await client.mailboxClose();
      await client.mailboxDelete('box');
    } finally {
      await client.logout();
    }
  });
}

test('mbsync fetches every byte, and takes its changes back', { skip: without('mbsync') }, async () => {
  await using imap = await startImap();
  const home = await mkdtemp(join(tmpdir(), 'teal-mbsync-'));
  try {
    const mails = [10, 1000, 100_000, 400_000].map(mail);
    for (const each of mails) await imap.deliver(each);
    const store = join(home, 'mail');
    await mkdir(store);
    const { socket } = await imap.connect();
    const certificate = (socket as TLSSocket).getPeerCertificate();
    await writeFile(
      join(home, 'cert.pem'),
      `-----BEGIN CERTIFICATE-----\n${certificate.raw.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    );
    socket.destroy();
    await writeFile(
      join(home, 'config'),
      [
        'IMAPAccount teal',
        'Host 127.0.0.1',
        `Port ${imap.listener.port}`,
        `User ${ADDRESS}`,
        'Pass secret',
        'SSLType IMAPS',
        `CertificateFile ${join(home, 'cert.pem')}`,
        '',
        'IMAPStore far',
        'Account teal',
        '',
        'MaildirStore near',
        `Inbox ${join(store, 'inbox')}`,
        `Path ${store}/`,
        '',
        'Channel all',
        'Far :far:',
        'Near :near:',
        'Create Near',
        'Expunge Both',
        'SyncState *',
        '',
      ].join('\n'),
    );
    const sync = () => run('mbsync', ['-c', join(home, 'config'), '-a'], { timeout: 20_000 });
    await sync();
    const folder = join(store, 'inbox', 'new');
    const files = await readdir(folder);
    const received = await Promise.all(files.map(async (name) => readFile(join(folder, name))));
    // mbsync stores LF line ends, and a header of its own.
    const normal = (bytes: Buffer) =>
      sum(
        Buffer.from(
          String(bytes)
            .replace(/\r\n/g, '\n')
            .replace(/^X-TUID: .*\n/m, ''),
        ),
      );
    assert.deepEqual(received.map(normal).sort(), mails.map(normal).sort());

    await rm(join(folder, files[0] ?? ''));
    await sync();
    await using client = await imap.login();
    assert.ok((await client.command('SELECT INBOX')).untagged.includes('* 3 EXISTS'));
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
