import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { Ports } from '../../src/relay.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import { connectImap } from '../harness/imap-client.ts';
import { LOCAL_V2, headerV1, headerV2 } from '../harness/proxy-header.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { createTcpProxy } from '../harness/tcp-proxy.ts';
import { ask } from '../harness/web-client.ts';

/** Listed, with the rest of its network. */
const PROXY = '127.0.9.250';
const CAROL = '203.0.113.9';
const DAVE = '2001:db8:7::9';

/** Each port: what is said to it first (a handshake where that is TLS), and what then comes. */
const ports: readonly {
  readonly name: string;
  readonly key: keyof Ports;
  readonly tls?: ConnectionOptions;
  readonly say?: string;
  readonly greeting: RegExp;
}[] = [
  { name: '25', key: 'smtp_port', say: 'EHLO x\r\n', greeting: /^220 .*\r\n250-/s },
  { name: '587', key: 'submission_port', say: 'EHLO x\r\n', greeting: /^220 .*\r\n250-/s },
  { name: '465', key: 'submissions_port', tls: {}, greeting: /^220 / },
  { name: '143', key: 'imap_port', greeting: /^\* OK / },
  { name: '993', key: 'imaps_port', tls: {}, greeting: /^\* OK / },
  { name: '80', key: 'http_port', say: 'GET /x HTTP/1.1\r\nHost: x\r\n\r\n', greeting: /^HTTP\/1.1 301 / },
  {
    name: '443',
    key: 'https_port',
    tls: {},
    say: 'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    greeting: /^HTTP\/1.1 200 /,
  },
  { name: '443 for IMAP', key: 'https_port', tls: { ALPNProtocols: ['imap'] }, greeting: /^\* OK / },
  { name: '443 for submission', key: 'https_port', tls: { ALPNProtocols: ['smtp'] }, greeting: /^220 / },
];

describe('clients behind a proxy', () => {
  const log = createEventLog();
  let relay: TestRelay;
  before(async () => {
    relay = await startTestRelay(
      {
        TEAL_PROXY_PROTOCOL_FROM: '127.0.9.0/24 2001:db8:5::/48',
        TEAL_HEALTH_PORT: '0',
        TEAL_LOG_LEVEL: 'debug',
        // One connection for each client: a fifth.
        TEAL_MAX_SMTP_CONNECTIONS: '5',
        TEAL_MAX_IMAP_CONNECTIONS: '5',
        TEAL_MAX_NEW_ACCOUNTS_PER_NETWORK: '1',
      },
      { log: log.log },
    );
  });
  after(async () => {
    await relay[Symbol.asyncDispose]();
    assert.doesNotMatch(
      JSON.stringify(log.events),
      /203\.0\.113|2001:db8|127\.0\.9/,
      'no addresses in the log',
    );
  });

  const portOf = (key: keyof Ports) => {
    const port = relay.ports[key];
    assert.ok(port !== undefined);
    return port;
  };
  /** A proxy on a port of its own, whose client is whoever `header` says. */
  const proxyTo = (key: keyof Ports, header: string | Buffer) =>
    createTcpProxy({ host: '127.0.0.1', port: portOf(key), localAddress: PROXY, header });
  /** Addresses are used once: the place of a connection is free only when the relay has seen its end. */
  let used = 0;
  const fresh = (network: string) => `${network}${(used += 1)}`;
  const dial = async (key: keyof Ports, localAddress = fresh('127.0.9.')) => {
    const socket = connectTcp({ port: portOf(key), host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };

  for (const { name, key, tls, say, greeting } of ports) {
    /** What the relay says until that is enough, or until it closes. */
    const converse = async (raw: Socket) => {
      const socket = tls ? connectTls({ socket: raw, rejectUnauthorized: false, ...tls }) : raw;
      let text = '';
      const closed = new Promise((resolve) => socket.once('close', resolve));
      const enough = new Promise<void>((resolve) => {
        socket.on('error', () => undefined);
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (greeting.test(text)) resolve();
          // Whoever talks before the greeting is sent away (RFC 5321 4.3.1).
          else if (say?.startsWith('EHLO') && text.split('\r\n').length === 2) socket.write(say);
        });
      });
      if (say !== undefined && !say.startsWith('EHLO')) socket.write(say);
      await Promise.race([enough, closed]);
      socket.destroy();
      raw.destroy();
      return text;
    };

    test(`are served on ${name} after a header of either version, and the proxy itself, too`, async () => {
      for (const header of [
        headerV1({ source: fresh('203.0.113.') }),
        headerV2({ source: fresh('2001:db8:0:') + '::1' }),
        LOCAL_V2,
        'PROXY UNKNOWN\r\n',
      ]) {
        const raw = await dial(key);
        raw.write(header);
        assert.match(await converse(raw), greeting);
      }
    });

    if (tls || key === 'http_port')
      test(`lose nothing on ${name} of what comes in one packet with the header`, async () => {
        await using proxy = await createTcpProxy({
          host: '127.0.0.1',
          port: portOf(key),
          localAddress: fresh('127.0.9.'),
          header: headerV2({ source: fresh('203.0.113.') }),
          headerWaits: true,
        });
        const raw = connectTcp({ port: proxy.port, host: '127.0.0.1' });
        assert.match(await converse(raw), greeting);
      });

    test(`are not served on ${name} without a header or with a bad one`, async () => {
      for (const header of [
        '',
        'PROXY TCP4 203.0.113.9\r\n',
        headerV2({ source: CAROL }).fill(0x55, 12, 13),
      ]) {
        const raw = await dial(key);
        raw.write(header === '' ? (say ?? '\x16\x03\x01') : header);
        assert.equal(await once(raw.resume(), 'close').then(() => raw.bytesRead), 0);
      }
    });

    test(`may not say on ${name} who they are without a proxy`, async () => {
      const raw = await dial(key, fresh('127.0.8.'));
      raw.write(headerV1({ source: CAROL }));
      const text = await converse(raw);
      // To TLS and HTTP it is garbage; SMTP wants nobody to talk first; for IMAP it is a command that it does not know.
      if (key === 'imap_port') assert.match(text, greeting);
      else if (key === 'smtp_port' || key === 'submission_port') assert.match(text, /^421 |\r\n5\d\d /);
      else assert.doesNotMatch(text, greeting);
      const plain = await dial(key, fresh('127.0.8.'));
      assert.match(await converse(plain), greeting);
    });
  }

  test('the health port knows nothing of all this', async () => {
    const sent = request({
      host: '127.0.0.1',
      port: portOf('health_port'),
      localAddress: PROXY,
      path: '/health/live',
    });
    sent.end();
    const [response] = (await once(sent, 'response')) as [{ statusCode: number; resume(): void }];
    response.resume();
    assert.equal(response.statusCode, 200);
  });

  test('are counted one by one', async () => {
    for (const [key, options] of [
      ['smtp_port', {}],
      ['submission_port', {}],
      ['submissions_port', { tls: true }],
      ['https_port', { tls: true, tlsOptions: { ALPNProtocols: ['smtp'] } }],
    ] as const) {
      await using toCarol = await proxyTo(key, headerV1({ source: CAROL }));
      await using toDave = await proxyTo(key, headerV2({ source: DAVE }));
      await using carol = await connectSmtp({ port: toCarol.port, ...options });
      await using dave = await connectSmtp({ port: toDave.port, ...options });
      await assert.rejects(connectSmtp({ port: toCarol.port, ...options }), key);
      assert.equal((await carol.command('NOOP')).code, 250);
      assert.equal((await dave.command('NOOP')).code, 250);
      await once(carol.socket.end(), 'close');
    }
  });

  test('are counted one by one over all ports of IMAP', async () => {
    await using toCarol = await proxyTo('imaps_port', headerV1({ source: CAROL }));
    await using alsoCarol = await proxyTo('https_port', headerV2({ source: CAROL }));
    await using toDave = await proxyTo('imap_port', headerV2({ source: DAVE }));
    await using carol = await connectImap({ port: toCarol.port, tls: true });
    await using dave = await connectImap({ port: toDave.port });
    assert.equal((await carol.command('NOOP')).status, 'OK');
    assert.equal((await dave.command('NOOP')).status, 'OK');
    const second = await connectImap({ port: alsoCarol.port, tls: true, alpn: ['imap'] });
    assert.match(second.greeting, /^\* BYE \[UNAVAILABLE\]/);
    second.socket.destroy();
  });

  test('have a rate of new accounts each', async () => {
    const [public1, public2] = ['198.51.100.7', '198.51.100.8'];
    const signUp = async (source: string, name: string) => {
      await using proxy = await proxyTo('imaps_port', headerV1({ source }));
      await using imap = await connectImap({ port: proxy.port, tls: true });
      return (await imap.command(`LOGIN ${name}@${relay.domain} password-1`)).status;
    };
    const signUpBySmtp = async (source: string, name: string) => {
      await using proxy = await proxyTo('submissions_port', headerV2({ source }));
      await using smtp = await connectSmtp({ port: proxy.port, tls: true });
      return (await smtp.login(`${name}@${relay.domain}`, 'password-1')).code;
    };
    assert.equal(await signUp(public1, 'carol0001'), 'OK');
    assert.equal(await signUp(public2, 'carol0002'), 'OK');
    assert.equal(await signUpBySmtp('198.51.100.9', 'carol0003'), 235);
    assert.deepEqual(await Promise.all([signUp(public1, 'carol0004'), signUpBySmtp(public2, 'carol0005')]), [
      'NO',
      454,
    ]);
  });

  test('count as who they are where mail comes from an address literal', async () => {
    const alice = `aliceprox@${relay.domain}`;
    await relay.login(alice, 'password-1', { countsAsUse: true, peer: '127.0.0.1' });
    const from = `bob@[${CAROL}]`;
    const message = mail({ from: `<${from}>` });
    const bySmtp = async (source: string) => {
      await using proxy = await proxyTo('smtp_port', headerV2({ source }));
      await using smtp = await connectSmtp({ port: proxy.port });
      await smtp.startTls();
      await smtp.command('EHLO x.test');
      return (await smtp.deliver(from, [alice], message)).code;
    };
    assert.equal(await bySmtp(CAROL), 250);
    assert.equal(await bySmtp('203.0.113.10'), 554);

    const envelope = { 'x-mail-from': from, 'x-mail-to': alice };
    for (const [source, status] of [
      [CAROL, 200],
      ['203.0.113.10', 400],
    ] as const) {
      await using proxy = await proxyTo('https_port', headerV1({ source }));
      const answer = await ask(proxy.port, 'POST', '/mxdeliv', envelope, message.toString('latin1'));
      assert.equal(answer.status, status, answer.text);
      const session = connectHttp2(`https://127.0.0.1:${proxy.port}`, { rejectUnauthorized: false });
      const stream = session.request({ ':method': 'POST', ':path': '/mxdeliv', ...envelope });
      stream.resume().end(message);
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      assert.equal(headers[':status'], status, 'HTTP/2');
      session.destroy();
    }
  });
});
