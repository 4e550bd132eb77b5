import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createTransport } from 'nodemailer';
import { systemPython, without } from '../harness/peers.ts';
import { ALICE, BOB, MESSAGE, PASSWORD, startInbound, startSubmission } from '../harness/smtp-listeners.ts';

const dotty = `${MESSAGE}.dot\r\n..\r\nend\r\n`;

/** Runs a program; what it wrote, and its exit status. */
async function run(program: string, args: readonly string[]): Promise<{ output: string; status: number }> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: 30_000, env: systemPython() });
    return { output: stdout, status: 0 };
  } catch (error) {
    const {
      stdout = '',
      stderr = '',
      code = -1,
    } = error as { stdout?: string; stderr?: string; code?: number };
    return { output: stdout + stderr, status: code };
  }
}

test(
  'swaks submits over TLS with AUTH PLAIN and LOGIN, and is refused in the clear',
  { skip: without('swaks') },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'teal-swaks-'));
    const message = join(directory, 'message');
    await writeFile(message, dotty);
    try {
      await using relay = await startSubmission();
      // Debian's swaks has no TLS of its own unless a Perl module is beside it: openssl carries it.
      const tunnel = `openssl s_client -quiet -connect 127.0.0.1:${relay.port}`;
      const mail = ['--from', ALICE, '--to', BOB, '--data', `@${message}`];
      for (const mechanism of ['PLAIN', 'LOGIN']) {
        const login = (password: string) => [
          '--auth',
          mechanism,
          '--auth-user',
          ALICE,
          '--auth-password',
          password,
        ];
        const { output, status } = await run('swaks', ['--pipe', tunnel, ...mail, ...login(PASSWORD)]);
        assert.equal(status, 0, output);
        assert.match(output, /250 2\.0\.0 Ok: queued/);
        const taken = relay.taken.pop();
        assert.equal(taken?.envelope.sender, ALICE);
        assert.equal(taken.message.toString().trimEnd(), dotty.trimEnd());
        const wrong = await run('swaks', ['--pipe', tunnel, ...mail, ...login('wrong')]);
        assert.match(wrong.output, /535 5\.7\.8 Error: authentication failed/);
      }
      await using inbound = await startInbound();
      const clear = await run('swaks', ['--server', '127.0.0.1', '--port', String(inbound.port), ...mail]);
      assert.match(clear.output, /530 5\.7\.0 Must issue a STARTTLS command first/);
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);

const python = `
import smtplib, ssl, sys
port, user, password, rcpt, message = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
client = smtplib.SMTP('127.0.0.1', port, timeout=20)
client.starttls(context=context)
if password:
    client.login(user, password)
print(client.sendmail(user, [rcpt, rcpt], message.encode(), ['BODY=8BITMIME']))
print(client.noop())
client.quit()
`;

test(
  "Python's smtplib delivers with STARTTLS on port 25, and with AUTH on 587",
  { skip: without('python3-dkim') },
  async () => {
    await using inbound = await startInbound();
    const open = await run('python3', [
      '-c',
      python,
      String(inbound.port),
      'carol@example.org',
      '',
      BOB,
      dotty,
    ]);
    assert.equal(open.status, 0, open.output);
    assert.equal(inbound.taken[0]?.message.toString(), dotty);
    assert.deepEqual(inbound.taken[0].envelope.recipients, [BOB]);

    await using submission = await startSubmission({ mode: 'starttls' });
    const user = await run('python3', ['-c', python, String(submission.port), ALICE, PASSWORD, BOB, dotty]);
    assert.equal(user.status, 0, user.output);
    assert.equal(submission.taken[0]?.message.toString(), dotty);
  },
);

test('nodemailer submits a message of five megabytes, and several on one connection', async () => {
  await using relay = await startSubmission({ maxMessageSize: 10_000_000 });
  const transport = createTransport({
    host: '127.0.0.1',
    port: relay.port,
    secure: true,
    pool: true,
    maxConnections: 1,
    auth: { user: ALICE, pass: PASSWORD },
    tls: { rejectUnauthorized: false },
  });
  try {
    const big = Buffer.from(`${MESSAGE}${`.${'x'.repeat(75)}\r\n`.repeat(65_000)}`);
    const envelope = { from: ALICE, to: [BOB] };
    for (const raw of [big, Buffer.from(dotty)]) await transport.sendMail({ envelope, raw });
    assert.ok(relay.taken[0]?.message.equals(big));
    assert.equal(relay.taken[1]?.message.toString(), dotty);
    assert.equal(new Set(relay.taken.map(({ envelope }) => envelope.session)).size, 1);
  } finally {
    transport.close();
  }
});
