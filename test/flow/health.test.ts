import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mail } from '../harness/encrypted-mail.ts';
import { connectImap } from '../harness/imap-client.ts';
import { without } from '../harness/peers.ts';
import { openTestCluster, startTestRelay } from '../harness/relay.ts';
import { connectSmtp } from '../harness/smtp-client.ts';

/** Asks until the answer is `status`; a supervisor does no more. */
async function becomes(port: number | undefined, status: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/health/ready`);
    await response.text();
    if (response.status === status) return;
  }
}

test('on SQLite a relay is healthy as soon as it serves', async () => {
  await using relay = await startTestRelay({ TEAL_HEALTH_PORT: '0' });
  await becomes(relay.ports.health_port, 200);
});

test(
  'health is red while database and Redis are away, and green when they are back',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using cluster = await openTestCluster();
    await using relay = await startTestRelay({ ...cluster.env, TEAL_HEALTH_PORT: '0' });
    await becomes(relay.ports.health_port, 200);
    await cluster.stop();
    await becomes(relay.ports.health_port, 503);
    const live = await fetch(`http://127.0.0.1:${relay.ports.health_port}/health/live`);
    assert.equal(live.status, 200, 'a restart would not help');
    await cluster.resume();
    await becomes(relay.ports.health_port, 200);
  },
);

test(
  'while Redis alone is away SMTP says 4xx, IMAP says BYE, and nothing is lost or kept of what was refused',
  { skip: without('MongoDB and Redis (MONGODB_URL, REDIS_URL)') },
  async () => {
    await using cluster = await openTestCluster();
    await using relay = await startTestRelay({ ...cluster.env, TEAL_HEALTH_PORT: '0' });
    const address = `alicehere@${relay.domain}`;
    const login = `LOGIN ${address} password-1`;
    await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
    assert.equal((await imap.command(login)).status, 'OK');
    assert.equal((await imap.command('SELECT INBOX')).status, 'OK');
    await using smtp = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
    await smtp.command('EHLO client.test');
    await smtp.login(address, 'password-1');
    assert.equal((await smtp.deliver(address, [address], mail({ from: address }))).code, 250);

    await cluster.stop('redis');
    await becomes(relay.ports.health_port, 503);
    const { code } = await smtp.deliver(address, [address], mail({ from: address }));
    assert.ok(code >= 400 && code < 500, `${code}`);
    // What is there can be read; what others would have to hear of cannot be done.
    assert.equal((await imap.command('UID FETCH 1 (FLAGS)')).status, 'OK');
    imap.write('s UID STORE 1 +FLAGS (\\Deleted)\r\n');
    const last = (await imap.rest()).map(({ text }) => text);
    assert.ok(
      last.some((text) => text.startsWith('* BYE ')) && !last.some((text) => text.startsWith('s OK')),
    );

    await cluster.resume();
    await becomes(relay.ports.health_port, 200);
    await using again = await connectImap({ port: relay.ports.imaps_port, tls: true });
    await again.command(login);
    const { responses } = await again.command('SELECT INBOX');
    assert.ok(responses.some(({ text }) => text === '* 1 EXISTS'));
    await using sender = await connectSmtp({ port: relay.ports.submissions_port, tls: true });
    await sender.command('EHLO client.test');
    await sender.login(address, 'password-1');
    assert.equal((await sender.deliver(address, [address], mail({ from: address }))).code, 250);
  },
);
