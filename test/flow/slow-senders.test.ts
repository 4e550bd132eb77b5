import assert from 'node:assert/strict';
import { test } from 'node:test';
import { armor, dataPart, controlPart, encryptedPackets, mail } from '../harness/encrypted-mail.ts';
import { startTestRelay } from '../harness/relay.ts';
import { connectSmtp, dotStuff } from '../harness/smtp-client.ts';
import type { SmtpClient } from '../harness/smtp-client.ts';

/** More than the relay has memory for, by whatever share of it. */
const ENOUGH = 8;

test('one account that uploads slowly, on many connections and ports, leaves memory for others of its network', async () => {
  await using relay = await startTestRelay({ TEAL_MAX_MESSAGE_SIZE: '65536' });
  await using clients = new AsyncDisposableStack();
  const sending = async (name: string, count: number): Promise<SmtpClient> => {
    const tls = count % 2 === 0;
    const port = tls ? relay.ports.submissions_port : relay.ports.submission_port;
    const client = clients.use(await connectSmtp({ port, tls }));
    if (!tls) {
      await client.startTls();
      await client.command('EHLO client.test');
    }
    const address = `${name}@${relay.domain}`;
    await client.login(address, 'password-1');
    await client.command(`MAIL FROM:<${address}>`);
    await client.command(`RCPT TO:<${address}>`);
    assert.equal((await client.command('DATA')).code, 354);
    return client;
  };
  const big = (name: string) =>
    dotStuff(
      mail({
        from: `<${name}@${relay.domain}>`,
        parts: [controlPart, dataPart(armor(encryptedPackets(44_000)))],
      }),
    );

  // One that comes to its end tells when those before it have taken all that the account may have.
  let refused = 0;
  for (let count = 0; refused === 0 && count < ENOUGH; count++) {
    const slow = await sending('mallory01', count);
    slow.send(big('mallory01').subarray(0, -5));
    const probe = await sending('mallory01', count);
    probe.send(big('mallory01'));
    const { code } = await probe.reply();
    if (code !== 250) refused = code;
  }
  assert.equal(refused, 452);
  const honest = await sending('honest001', 0);
  honest.send(big('honest001'));
  assert.equal((await honest.reply()).text, '250 2.0.0 Ok: queued');
});
