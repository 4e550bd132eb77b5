import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createLog } from '../src/observe/log.ts';
import { PortUnavailable } from '../src/machine.ts';
import { createRelay, WrongDomain } from '../src/relay.ts';
import { StoreUnavailable } from '../src/store/contract.ts';
import { createTestClock } from './harness/clock.ts';
import { mail } from './harness/encrypted-mail.ts';
import { connectImap } from './harness/imap-client.ts';
import { testDomain, testSettings } from './harness/relay.ts';
import { connectSmtp, openSmtp } from './harness/smtp-client.ts';

let parent: string;
let dir: string;
let count = 0;
before(async () => {
  parent = await mkdtemp(join(tmpdir(), 'teal-relay-test-'));
});
after(() => rm(parent, { recursive: true, force: true }));
beforeEach(() => {
  dir = join(parent, String(count++));
});

/** A port of loopback that is taken until it is disposed of. */
async function takenPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a relay that cannot start', () => {
  test('for a port that is taken names it, and leaves no port bound and no directory locked', async () => {
    await using free = await takenPort();
    const smtpPort = free.port;
    await free[Symbol.asyncDispose]();
    {
      await using taken = await takenPort();
      // Port 25 is bound by then, the store is open.
      const settings = testSettings(dir, {
        TEAL_SMTP_PORT: String(smtpPort),
        TEAL_IMAPS_PORT: String(taken.port),
      });
      await assert.rejects(
        createRelay(settings),
        new PortUnavailable(`port ${taken.port} (imaps_port) is taken by another program`),
      );
    }
    await using relay = await createRelay(testSettings(dir, { TEAL_SMTP_PORT: String(smtpPort) }));
    assert.equal(relay.ports.smtp_port, smtpPort);
  });

  test('for an address that is not of this machine says so', async () => {
    const settings = testSettings(dir, { TEAL_LISTEN_ADDRESS: '192.0.2.77' });
    await assert.rejects(
      createRelay(settings),
      new PortUnavailable('listen_address 192.0.2.77 is not an address of this machine'),
    );
  });

  test('for the data of another domain says what to do, and the data stays as it is', async () => {
    await (await createRelay(testSettings(dir)))[Symbol.asyncDispose]();
    await assert.rejects(createRelay(testSettings(dir, { MAIL_DOMAIN: '_other.test' })), (error: Error) => {
      assert.ok(error instanceof WrongDomain);
      assert.match(error.message, /holds the relay of _relay\.test, and mail_domain is _other\.test: set /);
      return true;
    });
    await using relay = await createRelay(testSettings(dir));
    assert.equal(relay.domain, testDomain);
  });

  test('for a certificate that is not there names the file', async () => {
    const settings = testSettings(dir, { TEAL_TLS_EXTERNAL_CERT_AND_KEY: 'no-cert.pem no-key.pem' });
    await assert.rejects(createRelay(settings), /no-cert\.pem does not exist/);
  });
});

test('a bare address as mail_domain makes addresses in brackets', async () => {
  await using relay = await createRelay(testSettings(dir, { MAIL_DOMAIN: '192.0.2.9' }));
  assert.equal(relay.domain, '[192.0.2.9]');
  assert.equal((await relay.login('aliceinch@[192.0.2.9]', 'password-1')).kind, 'ok');
});

test('it says when it signs its certificate itself, and why: no authority would', async () => {
  for (const [domain, told] of [
    ['chat.example.org', false],
    ['_chat.example.org', true],
    ['192.0.2.9', true],
  ] as const) {
    const events: string[] = [];
    const log = createLog('info', {
      write: (line) => void events.push((JSON.parse(line) as { event: string }).event),
    });
    const settings = testSettings(`${dir}-${domain}`, { MAIL_DOMAIN: domain });
    await (await createRelay(settings, { log }))[Symbol.asyncDispose]();
    assert.equal(events.includes('certificate-self-signed'), told, domain);
  }
});

test('it says ready when it is told to, then that it stops, then that it has; a second stop is silent', async () => {
  const lines: { event: string }[] = [];
  const log = createLog('info', {
    write: (line) => {
      const event = JSON.parse(line) as { event: string };
      if (!event.event.startsWith('certificate-')) lines.push(event);
    },
  });
  await using relay = await createRelay(testSettings(dir), { log });
  assert.deepEqual(lines, []);
  relay.ready();
  assert.partialDeepStrictEqual(lines[0], { event: 'ready', domain: testDomain, ports: relay.ports });
  await relay[Symbol.asyncDispose]();
  await relay[Symbol.asyncDispose]();
  assert.deepEqual(
    lines.map(({ event }) => event),
    ['ready', 'stopping', 'stopped'],
  );
});

test('a stop lets a message that is under way come in, turns new connections away, and closes the store last', async () => {
  const relay = await createRelay(testSettings(dir));
  const { ports, store } = relay;
  const alice = `aliceinch@${testDomain}`;
  const sender = await connectSmtp({ port: ports.submissions_port, tls: true });
  await sender.login(alice, 'password-1');
  for (const line of [`MAIL FROM:<${alice}>`, `RCPT TO:<${alice}>`, 'DATA']) await sender.command(line);
  const [head, rest] = [mail({ from: alice }).subarray(0, 100), mail({ from: alice }).subarray(100)];
  sender.send(head);
  const idler = await connectImap({ port: ports.imaps_port, tls: true });

  const stopped = relay[Symbol.asyncDispose]();
  await idler.closed;
  await assert.rejects(openSmtp({ port: ports.smtp_port }), { code: 'ECONNREFUSED' });
  assert.ok((await store.accounts.find(alice)) !== undefined, 'the store still answers');
  sender.send(rest);
  sender.send('\r\n.\r\n');
  assert.equal((await sender.reply()).code, 250);
  await stopped;
  await assert.rejects(store.accounts.find(alice), StoreUnavailable);

  await using again = await createRelay(testSettings(dir));
  await using reader = await connectImap({ port: again.ports.imaps_port, tls: true });
  await reader.command(`LOGIN ${alice} password-1`);
  assert.ok((await reader.command('SELECT INBOX')).untagged.includes('* 1 EXISTS'));
});

test('clock and chance are those that are put in', async () => {
  const clock = createTestClock();
  let asked = 0;
  const random = (bytes: number) => {
    asked += bytes;
    return Buffer.alloc(bytes, asked);
  };
  await using relay = await createRelay(testSettings(dir), { clock, random });
  await using imap = await connectImap({ port: relay.ports.imaps_port, tls: true });
  assert.equal((await imap.command(`LOGIN aliceinch@${testDomain} password-1`)).status, 'OK');
  assert.ok(asked > 0);
  await imap.command('SELECT INBOX');
  imap.write('A1 IDLE\r\n');
  await imap.next();
  // The line of the second minute of IDLE comes when the clock is turned, and not before.
  clock.advance(2 * 60_000);
  assert.match((await imap.next()).text, /^\* OK Still here/);
});
