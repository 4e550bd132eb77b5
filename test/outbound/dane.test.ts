import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createResolver } from '../../src/dns/resolver.ts';
import { createValidatingLookup } from '../../src/dns/validating.ts';
import type { ValidatingLookup } from '../../src/dns/validating.ts';
import { createEvents } from '../../src/observe/events.ts';
import type { RecipientOutcome } from '../../src/outbound/consignment.ts';
import type { DaneMode } from '../../src/outbound/dane.ts';
import { createOutbound } from '../../src/outbound/outbound.ts';
import { systemClock, systemRandom } from '../../src/machine.ts';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { makeCertificate } from '../harness/certificate-chain.ts';
import type { Issued, Wish } from '../harness/certificate-chain.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import { createEventLog } from '../harness/event-log.ts';
import { inTurn, say } from '../harness/scripted-act.ts';
import { createScriptedHosts } from '../harness/scripted-hosts.ts';
import { createScriptedSmtp } from '../harness/scripted-smtp.ts';

const never = new AbortController().signal;
const TIMEOUT = 600;

interface Options {
  /** Those that are signed. */
  readonly zones?: readonly string[];
  readonly exchange?: string;
  readonly unverifiedDomains?: readonly string[];
  readonly timeoutMs?: number;
}

/** Mail for user@chat.test goes to mx.test; a resolver that validates is asked. */
async function fixture(
  mode: DaneMode,
  {
    zones = ['chat.test', 'mx.test', 'backup.test'],
    exchange = 'mx.test',
    unverifiedDomains = [],
    timeoutMs = TIMEOUT,
  }: Options = {},
) {
  const all = new AsyncDisposableStack();
  const dns = all.use(await createDnsServer());
  const hosts = all.use(await createScriptedHosts());
  const log = createEventLog();
  dns.add({ name: 'chat.test', type: 'MX', ttl: 600, data: { preference: 10, exchange } });
  dns.add({ name: 'mx.test', type: 'A', ttl: 600, data: '127.0.0.1' });
  for (const zone of zones) dns.sign(zone);

  /** Milliseconds that the relay is ahead of the world. */
  let ahead = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + ahead };
  const underWay = new Set<Promise<unknown>>();
  const asker = createValidatingLookup({
    servers: [dns.address],
    timeoutMs,
    clock,
    random: systemRandom,
  });
  const lookup: ValidatingLookup = {
    ask(...question) {
      const asked = asker.ask(...question);
      const ending: Promise<unknown> = asked.catch(() => {}).finally(() => underWay.delete(ending));
      underWay.add(ending);
      return asked;
    },
  };
  const outbound = all.use(
    createOutbound({
      helo: 'relay.test',
      resolver: createResolver({ servers: [dns.address], timeoutMs: 5000 }),
      lookup,
      dialler: hosts.dialler,
      trustedCa: hosts.authority.cert,
      unverifiedDomains,
      mtaSts: 'off',
      dane: mode,
      clock,
      random: systemRandom,
      events: createEvents(log.log),
    }),
  );
  return {
    dns,
    hosts,
    mismatches: () => log.events.filter(({ event }) => event === 'dane-mismatch'),
    /** What became of a message. */
    async send(destination = 'chat.test'): Promise<string> {
      const recipients = [`user@${destination}`];
      const message = Buffer.from('From: a@relay.test\r\n\r\nhello\r\n');
      const [outcome] = await outbound.send(
        { destination, sender: 'a@relay.test', recipients, message },
        never,
      );
      return told(outcome);
    },
    /** Everything that is asked beside has its answer. */
    async learned(): Promise<void> {
      while (underWay.size > 0) {
        await Promise.all(underWay);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    /** As if so many milliseconds had passed. */
    pass: (ms: number) => void (ahead += ms),
    tlsaQuestions: () => dns.questions.filter(({ type }) => type === 'TLSA').map(({ name }) => name),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function told(outcome: RecipientOutcome | undefined): string {
  if (outcome?.kind === 'delivered') return `delivered to ${outcome.host} by ${outcome.via}`;
  const { status, text } = outcome!.problem;
  return `${outcome!.kind}: ${status} ${text}`;
}

/** `3 1 1` of a certificate, at the host. */
function tlsa(host: string, certificate: string | X509Certificate, usage = 3) {
  const { publicKey } = new X509Certificate(typeof certificate === 'string' ? certificate : certificate.raw);
  const data = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' }));
  return {
    name: `_25._tcp.${host}`,
    type: 'TLSA' as const,
    ttl: 600,
    data: { usage, selector: 1, matchingType: 1, certificate: data.digest() },
  };
}

const BY_25 = 'delivered to mx.test by smtp';
const MISFIT =
  'deferred: 4.7.5 no safe TLS with mx.test: its certificate does not fit its DANE records: ' +
  'no record names a certificate that it showed';
/** So that every message comes by a connection, and a handshake, of its own. */
const once = { rset: say('421 4.3.2 that is enough') };

/** A certificate that no authority vouches for. */
async function stranger(name = 'mx.test', more: Partial<Wish> = {}): Promise<KeyPair> {
  return (await makeCertificate({ name, ...more })).pair;
}

test('report: a certificate that does not fit is an event, and the mail goes', async () => {
  await using it = await fixture('report');
  await it.hosts.smtp('mx.test', once);
  it.dns.add(tlsa('mx.test', (await stranger()).cert));
  assert.equal(await it.send(), BY_25);
  await it.learned();
  assert.deepEqual(it.mismatches(), []);
  assert.equal(await it.send(), BY_25);
  assert.deepEqual(
    it.mismatches().map(({ destination, host, problem }) => [destination, host, problem]),
    [['chat.test', 'mx.test', 'no record names a certificate that it showed']],
  );
});

test('report: a certificate that fits is no event, and still needs an authority', async () => {
  await using it = await fixture('report');
  const server = await it.hosts.smtp('mx.test', once);
  it.dns.add(tlsa('mx.test', server.certificate.cert));
  await it.send();
  await it.learned();
  assert.equal(await it.send(), BY_25);
  server.certificate = await stranger();
  assert.match(await it.send(), /^deferred: 4\.7\.5 no safe TLS with mx.test: self-signed certificate/);
  assert.deepEqual(it.mismatches(), []);
});

test('enforce: a certificate that does not fit gets no mail from the second message on, and it says why', async () => {
  await using it = await fixture('enforce');
  const server = await it.hosts.smtp('mx.test');
  it.dns.add(tlsa('mx.test', (await stranger()).cert));
  assert.equal(await it.send(), BY_25, 'nothing is known the first time');
  await it.learned();
  // The connection of the first one waits, and is not used.
  assert.equal(await it.send(), MISFIT);
  assert.equal(server.transactions.length, 1);
  assert.equal(it.mismatches().length, 1);
});

for (const [what, certificate] of [
  ['authority', () => stranger()],
  ['name', () => stranger('other.test')],
  ['date', () => stranger('mx.test', { notAfter: new Date(Date.now() - 3_600_000) })],
] as const) {
  test(`enforce: a certificate that a record names needs no ${what}`, async () => {
    await using it = await fixture('enforce');
    const server = await it.hosts.smtp('mx.test');
    server.certificate = await certificate();
    it.dns.add(tlsa('mx.test', server.certificate.cert));
    assert.match(await it.send(), /^deferred: 4\.7\.5/, 'without DANE it will not do');
    await it.learned();
    assert.equal(await it.send(), BY_25);
    assert.equal(await it.send(), BY_25);
    assert.equal(server.connections.filter(({ secure }) => secure).length, 1, 'a connection is used again');
  });
}

test('enforce: an authority that a record names vouches for the name of the host, or of the destination', async () => {
  await using it = await fixture('enforce');
  const server = await it.hosts.smtp('mx.test', once);
  const root = await makeCertificate({ name: 'root', authority: true });
  it.dns.add(tlsa('mx.test', root.certificate, 2));
  const serve = async (name: string, by: Issued) => {
    const { cert, key } = await stranger(name, { by });
    server.certificate = { key, cert: cert + root.pair.cert };
  };
  await serve('mx.test', root);
  await it.send();
  await it.learned();
  assert.equal(await it.send(), BY_25);
  await serve('chat.test', root);
  assert.equal(await it.send(), BY_25);
  await serve('other.test', root);
  assert.match(await it.send(), /its certificate is not for mx.test or chat.test$/);
  await serve('mx.test', await makeCertificate({ name: 'root', authority: true }));
  assert.match(await it.send(), /^deferred: 4\.7\.5/);
  assert.equal(server.transactions.length, 2);
});

test('enforce: another host that does fit, or has no records, gets it', async () => {
  await using it = await fixture('enforce');
  const first = await it.hosts.smtp('mx.test');
  const second = await it.hosts.smtp('backup.test');
  it.dns.add({ name: 'chat.test', type: 'MX', ttl: 600, data: { preference: 20, exchange: 'backup.test' } });
  it.dns.add({ name: 'backup.test', type: 'A', ttl: 600, data: '127.0.0.1' });
  it.dns.add(tlsa('mx.test', (await stranger()).cert));
  await it.send();
  await it.learned();
  assert.equal(await it.send(), 'delivered to backup.test by smtp');
  assert.deepEqual([first.transactions.length, second.transactions.length], [1, 1]);
});

test('enforce: records of 25 say nothing of 443, so mail goes by 25 alone', async () => {
  await using it = await fixture('enforce');
  const server = await it.hosts.smtp('mx.test');
  const web = await it.hosts.mxdeliv('mx.test');
  it.dns.add(tlsa('mx.test', server.certificate.cert));
  assert.equal(await it.send(), 'delivered to mx.test by mxdeliv');
  await it.learned();
  assert.equal(await it.send(), BY_25);
  assert.equal(web.requests.length, 1);
});

test('report: 443 stays first', async () => {
  await using it = await fixture('report');
  const server = await it.hosts.smtp('mx.test');
  await it.hosts.mxdeliv('mx.test');
  it.dns.add(tlsa('mx.test', server.certificate.cert));
  await it.send();
  await it.learned();
  assert.equal(await it.send(), 'delivered to mx.test by mxdeliv');
});

for (const [what, zones] of [
  ['MX records', ['mx.test']],
  ['address of the host', ['chat.test']],
] as const) {
  test(`enforce: where the ${what} are not signed there is no DANE, and nobody is asked for records`, async () => {
    await using it = await fixture('enforce', { zones });
    await it.hosts.smtp('mx.test', once);
    it.dns.add(tlsa('mx.test', (await stranger()).cert));
    for (let i = 0; i < 3; i += 1) {
      assert.equal(await it.send(), BY_25);
      await it.learned();
    }
    assert.deepEqual(it.tlsaQuestions(), []);
  });
}

test('enforce: an alias that leads out of the signed zone has the records of its own name', async () => {
  await using it = await fixture('enforce', { zones: ['chat.test', 'alias.test'], exchange: 'alias.test' });
  await it.hosts.smtp('alias.test', once);
  it.dns.add({ name: 'alias.test', type: 'CNAME', ttl: 600, data: 'mx.test' });
  it.dns.add(tlsa('mx.test', (await stranger()).cert));
  it.dns.add(tlsa('alias.test', (await stranger()).cert));
  await it.send();
  await it.learned();
  assert.match(await it.send(), /^deferred: 4\.7\.5 no safe TLS with alias.test/);
  assert.deepEqual(it.tlsaQuestions(), ['_25._tcp.alias.test']);
});

test('enforce: an alias within signed zones has the records of the name behind it, and TLS asks for that name', async () => {
  await using it = await fixture('enforce', {
    zones: ['chat.test', 'alias.test', 'mx.test'],
    exchange: 'alias.test',
  });
  const names: string[] = [];
  const root = await makeCertificate({ name: 'root', authority: true });
  const { cert, key } = await stranger('mx.test', { by: root });
  await using server = await createScriptedSmtp({ key, cert: cert + root.pair.cert }, once, {
    SNICallback: (name, done) => {
      names.push(name);
      done(null);
    },
  });
  it.hosts.places.set('alias.test:25', server.port);
  it.dns.add({ name: 'alias.test', type: 'CNAME', ttl: 600, data: 'mx.test' });
  it.dns.add(tlsa('mx.test', root.certificate, 2));
  await it.send();
  await it.learned();
  assert.equal(await it.send(), 'delivered to alias.test by smtp');
  assert.deepEqual(names, ['alias.test', 'mx.test']);
});

test('enforce: records behind an alias out of the signed zone do not count', async () => {
  await using it = await fixture('enforce');
  await it.hosts.smtp('mx.test', once);
  it.dns.add({ name: '_25._tcp.mx.test', type: 'CNAME', ttl: 600, data: '_25._tcp.plain.test' });
  it.dns.add(tlsa('plain.test', (await stranger()).cert));
  await it.send();
  await it.learned();
  assert.equal(await it.send(), BY_25);
  assert.deepEqual(it.tlsaQuestions(), ['_25._tcp.mx.test']);
});

test('enforce: while DNS fails on the records there is no mail, but for the first; then it goes at once', async () => {
  await using it = await fixture('enforce');
  const server = await it.hosts.smtp('mx.test', once);
  it.dns.fail('_25._tcp.mx.test');
  assert.equal(await it.send(), BY_25);
  await it.learned();
  const told =
    'deferred: 4.7.5 DNS does not say whether mx.test has DANE records: _25._tcp.mx.test TLSA: SERVFAIL';
  assert.equal(await it.send(), told);
  assert.equal(server.transactions.length, 1);
  it.dns.remove('_25._tcp.mx.test');
  assert.equal(await it.send(), BY_25);
});

test('report: that DNS fails on the records holds up nothing', async () => {
  await using it = await fixture('report');
  await it.hosts.smtp('mx.test', once);
  it.dns.fail('_25._tcp.mx.test');
  for (let i = 0; i < 3; i += 1) {
    assert.equal(await it.send(), BY_25);
    await it.learned();
  }
});

test('enforce: a DNS server that does not answer does not delay the first message', async () => {
  await using it = await fixture('enforce', { timeoutMs: 3_600_000 });
  await it.hosts.smtp('mx.test', once);
  it.dns.silence('_25._tcp.mx.test');
  assert.equal(await it.send(), BY_25);
});

test('records that cannot be used between mail servers are as if there were none', async () => {
  await using it = await fixture('enforce');
  await it.hosts.smtp('mx.test', once);
  it.dns.add(tlsa('mx.test', (await stranger()).cert, 1));
  await it.send();
  await it.learned();
  assert.equal(await it.send(), BY_25);
  assert.deepEqual(it.mismatches(), []);
});

test('what is known is not asked for again while it lasts', async () => {
  await using it = await fixture('enforce');
  const server = await it.hosts.smtp('mx.test', once);
  it.dns.add(tlsa('mx.test', server.certificate.cert));
  for (let i = 0; i < 4; i += 1) {
    await it.send();
    await it.learned();
  }
  assert.deepEqual(it.tlsaQuestions(), ['_25._tcp.mx.test']);
});

test('enforce: what is old counts, unless the answer to the question that it causes is there before the handshake', async () => {
  await using it = await fixture('enforce');
  const slow = { ...once, greeting: inTurn(() => it.learned(), say('220 at last')) };
  const server = await it.hosts.smtp('mx.test', once);
  it.dns.add(tlsa('mx.test', server.certificate.cert));
  await it.send();
  await it.learned();
  // A new certificate, and a record for it.
  server.certificate = await stranger();
  it.dns.remove('_25._tcp.mx.test');
  it.dns.add(tlsa('mx.test', server.certificate.cert));
  it.pass(3_600_000);
  server.script = slow;
  assert.equal(await it.send(), BY_25);
  assert.equal(it.tlsaQuestions().length, 2);

  // There are no records any more: the certificate must be as it must be without DANE.
  it.dns.remove('_25._tcp.mx.test');
  it.pass(3_600_000);
  assert.match(await it.send(), /^deferred: 4\.7\.5 no safe TLS with mx.test: its certificate is not valid/);
  it.dns.add(tlsa('mx.test', server.certificate.cert));
  it.pass(3_600_000);
  await it.send();
  await it.learned();
  server.certificate = await it.hosts.certificate('mx.test', 'good');
  it.dns.remove('_25._tcp.mx.test');
  it.pass(3_600_000);
  assert.equal(await it.send(), BY_25);

  // DNS is silent: what was known last counts.
  it.dns.add(tlsa('mx.test', (await stranger()).cert));
  it.pass(3_600_000);
  await it.send();
  await it.learned();
  it.dns.silence('_25._tcp.mx.test');
  it.pass(3_600_000);
  server.script = once;
  assert.equal(await it.send(), MISFIT);
});

test('no DANE where it is off, and where certificates are not verified at all', async () => {
  for (const [mode, options] of [
    ['off', {}],
    ['enforce', { unverifiedDomains: ['chat.test'] }],
  ] as const) {
    await using it = await fixture(mode, options);
    const server = await it.hosts.smtp('mx.test', once);
    if (mode === 'enforce') server.certificate = await stranger();
    it.dns.add(tlsa('mx.test', (await stranger()).cert));
    for (let i = 0; i < 2; i += 1) {
      assert.equal(await it.send(), BY_25);
      await it.learned();
    }
    assert.deepEqual(it.tlsaQuestions(), []);
  }
});
