import assert from 'node:assert/strict';
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { day, minute } from '../../src/clock.ts';
import { createWalkingClock } from '../harness/clock.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import { createEventLog } from '../harness/event-log.ts';
import { scrape, valueOf } from '../harness/metrics.ts';
import { freePorts, startPebble } from '../harness/pebble.ts';
import type { PebbleOptions } from '../harness/pebble.ts';
import { without } from '../harness/peers.ts';
import { startTestRelay } from '../harness/relay.ts';
import { selfSigned } from '../harness/self-signed.ts';

const domain = 'chat.example';
const skip = without('pebble');

/** A relay of `chat.example`, a name server that leads its names here, and the ports and identity of an authority. */
async function startWorld(names: readonly string[] = []) {
  const scope = new AsyncDisposableStack();
  const dns = scope.use(await createDnsServer());
  for (const name of [domain, ...names]) dns.add({ name, type: 'A', data: '127.0.0.1' });
  const [httpPort = 0, tlsPort = 0, port = 0] = await freePorts(3);
  const identity = await selfSigned('localhost');
  const clock = scope.use(createWalkingClock());
  const events = createEventLog();
  return {
    dns,
    clock,
    events,
    /** Lets minutes pass until the event comes, but not so fast that an order runs out of its four. */
    async later(event: string) {
      const turning = setInterval(() => clock.advance(minute), 250);
      try {
        return await events.next(event);
      } finally {
        clearInterval(turning);
      }
    },
    startPebble: (options: Partial<PebbleOptions> = {}) =>
      startPebble({ dns: dns.address, httpPort, tlsPort, port, identity, ...options }),
    startRelay: async () =>
      scope.use(
        await startTestRelay(
          {
            MAIL_DOMAIN: domain,
            ACME_EMAIL: 'admin@chat.example',
            TEAL_HTTP_PORT: String(httpPort),
            TEAL_HTTPS_PORT: String(tlsPort),
            TEAL_METRICS_PORT: '0',
            TEAL_DNS_SERVERS: dns.address,
            TEAL_ACME_DIRECTORY: `https://localhost:${port}/dir`,
          },
          { clock, log: events.log, trustedCa: identity.cert },
        ),
      ),
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

async function handshake(port: number, ca?: string): Promise<TLSSocket> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: domain,
    ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
  });
  await once(socket, 'secureConnect');
  return socket;
}

async function shownAt(port: number, ca?: string): Promise<X509Certificate> {
  const socket = await handshake(port, ca);
  const certificate = socket.getPeerX509Certificate();
  socket.destroy();
  assert.ok(certificate);
  return certificate;
}

const namesIn = (certificate: X509Certificate) =>
  (certificate.subjectAltName ?? '').replaceAll('DNS:', '').split(', ').sort();
const keyOf = (certificate: X509Certificate) => certificate.publicKey.export({ type: 'spki', format: 'pem' });

test(
  'a relay has its certificate by HTTP-01, for the names that lead to it, on every port, and keeps it fresh',
  { skip },
  async () => {
    await using world = await startWorld([`www.${domain}`, `mta-sts.${domain}`]);
    world.dns.add({ name: `autoconfig.${domain}`, type: 'A', data: '192.0.2.1' });
    await using pebble = await world.startPebble();
    const relay = await world.startRelay();
    const { imaps_port, submissions_port, https_port = 0 } = relay.ports;
    const before = await handshake(imaps_port);
    const early = before.getPeerX509Certificate();
    let heard = '';
    before.on('data', (chunk: Buffer) => (heard += chunk.toString()));

    const account = await world.events.next('acme-account');
    assert.match(String(account['url']), /^https:\/\/localhost:\d+\//);
    const issued = await world.events.next('certificate-issued');
    assert.deepEqual(issued['names'], [domain, `mta-sts.${domain}`, `www.${domain}`]);
    await world.events.next('certificate-replaced');
    const root = await pebble.root();
    const first = await shownAt(imaps_port, root);
    assert.deepEqual(namesIn(first), [domain, `mta-sts.${domain}`, `www.${domain}`]);
    assert.equal(first.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
    assert.notEqual(early?.fingerprint256, first.fingerprint256);
    for (const port of [submissions_port, https_port])
      assert.equal((await shownAt(port, root)).fingerprint256, first.fingerprint256);
    before.write('a LOGOUT\r\n');
    await once(before, 'close');
    assert.match(heard, /^a OK/m, 'a connection from before the new certificate goes on');

    // Another name comes to lead here.
    world.dns.remove(`autoconfig.${domain}`);
    world.dns.add({ name: `autoconfig.${domain}`, type: 'CNAME', data: domain });
    world.clock.advance(14 * minute);
    const more = await world.later('certificate-issued');
    assert.equal(more['why'], 'names');
    await world.events.next('certificate-replaced');
    const second = await shownAt(imaps_port, root);
    assert.equal(namesIn(second).length, 4);
    assert.deepEqual(keyOf(second), keyOf(first));

    world.clock.advance((second.validToDate.getTime() - second.validFromDate.getTime()) * 0.7);
    const renewed = await world.later('certificate-issued');
    assert.equal(renewed['why'], 'renewal');
    await world.events.next('certificate-replaced');
    const third = await shownAt(imaps_port, root);
    assert.notEqual(third.serialNumber, second.serialNumber);
    assert.deepEqual(namesIn(third), namesIn(second));
    assert.deepEqual(keyOf(third), keyOf(first));
  },
);

test('where port 80 does not answer, TLS-ALPN-01 on 443 does', { skip }, async () => {
  await using world = await startWorld();
  const [closed = 0] = await freePorts(1);
  await using pebble = await world.startPebble({ httpPort: closed });
  const relay = await world.startRelay();
  assert.deepEqual((await world.events.next('certificate-issued'))['names'], [domain]);
  await world.events.next('certificate-replaced');
  assert.deepEqual(namesIn(await shownAt(relay.ports.imaps_port, await pebble.root())), [domain]);
});

test(
  'a name that the authority cannot see is left out, and asked for again the next day',
  { skip },
  async () => {
    await using world = await startWorld([`www.${domain}`, `mta-sts.${domain}`]);
    await using theirs = await createDnsServer();
    for (const name of [domain, `www.${domain}`]) theirs.add({ name, type: 'A', data: '127.0.0.1' });
    await using pebble = await world.startPebble({ dns: theirs.address });
    const relay = await world.startRelay();
    const issued = await world.events.next('certificate-issued');
    assert.deepEqual(issued['names'], [domain, `www.${domain}`]);
    const refused = await world.events.next('certificate-name-refused');
    assert.equal(refused['name'], `mta-sts.${domain}`);
    assert.match(String(refused['reason']), /http-01: .*; tls-alpn-01: /);
    await world.events.next('certificate-replaced');
    const root = await pebble.root();
    assert.equal(namesIn(await shownAt(relay.ports.imaps_port, root)).length, 2);

    theirs.add({ name: `mta-sts.${domain}`, type: 'A', data: '127.0.0.1' });
    const started = world.clock.now();
    world.clock.advance(day - 14 * minute);
    world.clock.advance(13 * minute);
    const more = await world.later('certificate-issued');
    assert.equal(more['why'], 'names');
    assert.ok((more['names'] as string[]).includes(`mta-sts.${domain}`));
    assert.ok(world.clock.now() - started >= day - minute);
  },
);

test(
  'an authority that is down, at the start and later, costs nothing but a louder log',
  { skip },
  async () => {
    await using world = await startWorld();
    const relay = await world.startRelay();
    const port = relay.ports.imaps_port;
    const failed = await world.events.next('certificate-failed');
    assert.equal(failed['attempts'], 1);
    assert.match(String(failed['reason']), /ECONNREFUSED/);
    const failing = async () => valueOf(await scrape(relay.ports.metrics_port), 'teal_certificate_failing');
    assert.equal(await failing(), 1);
    assert.equal((await shownAt(port)).issuer, (await shownAt(port)).subject);

    {
      await using _pebble = await world.startPebble();
      await world.later('certificate-issued');
      await world.events.next('certificate-replaced');
    }
    const first = await shownAt(port);
    assert.notEqual(first.issuer, first.subject);
    const found = await scrape(relay.ports.metrics_port);
    assert.equal(valueOf(found, 'teal_certificate_failing'), 0);
    const notAfter = first.validToDate.getTime() / 1000;
    assert.equal(valueOf(found, 'teal_certificate_not_after_timestamp_seconds'), notAfter);
    world.clock.advance((first.validToDate.getTime() - first.validFromDate.getTime()) * 0.7);
    assert.equal((await world.later('certificate-failed'))['attempts'], 1);
    assert.equal(await failing(), 1, 'from the first time on, while the old one is good for weeks');
    assert.equal((await world.later('certificate-failed'))['attempts'], 2);
    assert.equal((await shownAt(port)).serialNumber, first.serialNumber);

    // It has forgotten our account meanwhile.
    await using _again = await world.startPebble();
    assert.equal((await world.later('certificate-issued'))['why'], 'renewal');
    await world.events.next('certificate-replaced');
    assert.notEqual((await shownAt(port)).serialNumber, first.serialNumber);
  },
);
