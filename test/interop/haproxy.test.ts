import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DeltaChat, secureJoin, withoutCore } from '../harness/delta-chat.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import { freePorts } from '../harness/free-ports.ts';
import { startHaProxy } from '../harness/haproxy.ts';
import type { HaProxy } from '../harness/haproxy.ts';
import { connectImap } from '../harness/imap-client.ts';
import { without } from '../harness/peers.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { until } from '../harness/until.ts';
import { ask } from '../harness/web-client.ts';

/** Where HAProxy connects from; its clients here are 127.0.0.1. */
const PROXY = '127.0.9.1';
const CHECK = 'check check-send-proxy inter 200ms';

describe('behind HAProxy', { skip: without('haproxy') }, () => {
  const log = createEventLog();
  let relay: TestRelay;
  let haproxy: HaProxy;
  let ports: { smtp: number; submissions: number; imaps: number; https: number };

  before(async () => {
    relay = await startTestRelay({ TEAL_PROXY_PROTOCOL_FROM: PROXY }, { log: log.log });
    const [smtp = 0, submissions = 0, imaps = 0, https = 0] = await freePorts(4);
    ports = { smtp, submissions, imaps, https };
    const tls = 'check-ssl verify none';
    haproxy = await startHaProxy(PROXY, [
      {
        name: 'smtp',
        from: smtp,
        to: relay.ports.smtp_port,
        server: `send-proxy ${CHECK}`,
        lines: ['option smtpchk EHLO proxy.test'],
      },
      {
        name: 'submissions',
        from: submissions,
        to: relay.ports.submissions_port,
        server: `send-proxy ${CHECK} ${tls}`,
      },
      { name: 'imaps', from: imaps, to: relay.ports.imaps_port, server: `send-proxy-v2 ${CHECK} ${tls}` },
      {
        name: 'https',
        from: https,
        to: relay.ports.https_port ?? 0,
        server: `send-proxy-v2-ssl-cn ${CHECK} ${tls}`,
        lines: ['option httpchk GET /', 'http-check expect status 200'],
      },
    ]);
  });
  after(async () => {
    await haproxy[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
    assert.deepEqual(
      log.events.filter(({ event }) => event === 'fault' || event === 'proxy-header-refused'),
      [],
    );
  });

  test('its health checks find every port in order', async () => {
    const well = { smtp: 'UP L7OK', submissions: 'UP L6OK', imaps: 'UP L6OK', https: 'UP L7OK' };
    let checks: Readonly<Record<string, string>> = {};
    await until(async () => {
      checks = await haproxy.checks();
      return JSON.stringify(checks) === JSON.stringify(well);
    }, 'all are up');
    assert.deepEqual(checks, well);
  });

  test('a new account is had, logs in, sends and reads', async () => {
    const { email, password } = (await ask(ports.https, 'POST', '/new')).json() as Record<string, string>;
    assert.ok(email !== undefined && password !== undefined);
    await using imap = await connectImap({ port: ports.imaps, tls: true });
    const quoted = password.replaceAll(/["\\]/g, '\\$&');
    assert.equal((await imap.command(`LOGIN ${email} "${quoted}"`)).status, 'OK');
    await using smtp = await connectSmtp({ port: ports.submissions, tls: true });
    assert.equal((await smtp.login(email, password)).code, 235);
    assert.equal((await smtp.deliver(email, [email], mail({ from: `<${email}>` }))).code, 250);
    await imap.command('SELECT INBOX');
    const { untagged } = await imap.command('UID FETCH 1:* (RFC822.SIZE)');
    assert.equal(untagged.length, 1);
  });

  test('443 tells mail and web apart', async () => {
    await using imap = await connectImap({ port: ports.https, tls: true, alpn: ['imap'] });
    assert.match(imap.greeting, /^\* OK /);
    await using smtp = await connectSmtp({
      port: ports.https,
      tls: true,
      tlsOptions: { ALPNProtocols: ['smtp'] },
    });
    assert.equal((await smtp.command('NOOP')).code, 250);
  });

  test('at port 25 the sender is who HAProxy says, and not HAProxy', async () => {
    const alice = `alicehapr@${relay.domain}`;
    await relay.login(alice, 'password-1', { countsAsUse: true, peer: '127.0.0.1' });
    for (const [literal, code] of [
      ['127.0.0.1', 250],
      [PROXY, 554],
    ] as const) {
      await using smtp = await connectSmtp({ port: ports.smtp });
      await smtp.startTls();
      await smtp.command('EHLO x.test');
      const from = `bob@[${literal}]`;
      assert.equal((await smtp.deliver(from, [alice], mail({ from: `<${from}>` }))).code, code);
    }
  });

  test('two people with Delta Chat write to each other', { skip: withoutCore('newest') }, async () => {
    await using core = await DeltaChat.start();
    const servers = { imapPort: ports.imaps, smtpPort: ports.submissions };
    const [alice, bob] = await Promise.all([
      core.account(`alicealic@${relay.domain}`, 'a password of alice', servers),
      core.account(`bobbybobb@${relay.domain}`, 'a password of bob', servers),
    ]);
    const chat = await secureJoin({ core, id: alice }, { core, id: bob });
    const arrives = core.incoming(alice, (text) => text === 'hello Alice');
    await core.rpc('misc_send_text_message', bob, chat, 'hello Alice');
    await arrives;
    assert.deepEqual(core.warnings(), []);
  });
});
