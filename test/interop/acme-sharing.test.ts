import assert from 'node:assert/strict';
import { X509Certificate, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import { describe, test } from 'node:test';
import { minute } from '../../src/clock.ts';
import { createEvents } from '../../src/observe/events.ts';
import { openAcme } from '../../src/tls/acme.ts';
import type { AcmeOptions } from '../../src/tls/acme.ts';
import { createCertificate } from '../../src/tls/certificate.ts';
import type { Certificate, KeyPair } from '../../src/tls/certificate.ts';
import { startAcmeFront } from '../harness/acme-front.ts';
import type { AcmeFrontOptions } from '../harness/acme-front.ts';
import { createWalkingClock } from '../harness/clock.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import { createEventLog } from '../harness/event-log.ts';
import { createMemoryValues } from '../harness/memory-values.ts';
import { freePorts, startPebble } from '../harness/pebble.ts';
import { without } from '../harness/peers.ts';
import { selfSigned } from '../harness/self-signed.ts';

const domain = 'chat.example';
const names = [`mta-sts.${domain}`, `www.${domain}`];

/** An authority behind a front, a port 80 that asks whom it is given, and processes that share one store. */
async function startWorld(front: AcmeFrontOptions = {}) {
  await using scope = new AsyncDisposableStack();
  const dns = scope.use(await createDnsServer());
  for (const name of [domain, ...names]) dns.add({ name, type: 'A', data: '127.0.0.1' });
  const world = {
    answer: (_token: string): string | undefined => undefined,
    answerTls: (_name: string): Promise<KeyPair | undefined> => Promise.resolve(undefined),
  };
  const http = createServer((asked, response) => {
    const proof = world.answer((asked.url ?? '').replace('/.well-known/acme-challenge/', ''));
    response.writeHead(proof === undefined ? 404 : 200).end(proof);
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  scope.defer(() => void http.close());
  const [tlsPort = 0] = await freePorts(1);
  const own = await selfSigned(domain);
  const tls = createTlsServer({
    ...own,
    ALPNProtocols: ['acme-tls/1'],
    SNICallback: (name, done) => {
      void world.answerTls(name).then((pair) => done(null, createSecureContext(pair ?? own)));
    },
  }).listen(tlsPort, '127.0.0.1');
  await once(tls, 'listening');
  scope.defer(() => void tls.close());
  const pebble = scope.use(
    await startPebble({ dns: dns.address, httpPort: (http.address() as AddressInfo).port, tlsPort }),
  );
  const authority = scope.use(await startAcmeFront(pebble, front));
  const clock = scope.use(createWalkingClock());
  const values = createMemoryValues();
  const stack = scope.move();
  return Object.assign(world, {
    clock,
    values,
    /** Lets minutes pass until it comes, but not so fast that an order runs out of its four. */
    async later<Value>(coming: Promise<Value>): Promise<Value> {
      const turning = setInterval(() => clock.advance(minute), 250);
      try {
        return await coming;
      } finally {
        clearInterval(turning);
      }
    },
    async open(options: Partial<AcmeOptions> = {}) {
      const log = createEventLog();
      const acme = stack.use(
        await openAcme({
          values,
          directoryUrl: authority.directoryUrl,
          trustedCa: authority.trustedCa,
          email: undefined,
          domain,
          otherNames: () => Promise.resolve({ here: names, unsure: [] }),
          clock,
          random: (bytes) => randomBytes(bytes),
          events: createEvents(log.log),
          ...options,
        }),
      );
      const certificate: Certificate = createCertificate(acme.kept ?? (await selfSigned(domain)));
      return { acme, certificate, log, start: () => acme.start(certificate) };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  });
}

describe('processes that share a store', { skip: without('pebble') }, () => {
  test('order once, any of them answers the challenge, and each serves what came of it', async () => {
    await using world = await startWorld();
    const [first, second] = [await world.open(), await world.open()];
    // The load balancer sends the authority to the one that knows nothing of the order.
    world.answer = (token) => second.acme.challenges.http(token);
    first.start();
    await first.log.next('certificate-issued');
    second.start();
    await Promise.all([first, second].map(({ log }) => log.next('certificate-replaced')));
    assert.equal(second.certificate.pair.cert, first.certificate.pair.cert);
    assert.equal(second.log.events.filter(({ event }) => event === 'certificate-issued').length, 0);

    // Both look at the same minute when it is due again: one has the lease.
    const { validFromDate: from, validToDate: to } = new X509Certificate(first.certificate.pair.cert);
    world.clock.advance((to.getTime() - from.getTime()) * 0.7);
    await world.later(Promise.all([first, second].map(({ log }) => log.next('certificate-replaced'))));
    assert.equal(second.certificate.pair.cert, first.certificate.pair.cert);
    const issued = [first, second].flatMap(({ log }) =>
      log.events.filter(({ event }) => event === 'certificate-issued'),
    );
    assert.equal(issued.length, 2, 'the first and one renewal');

    const later = await world.open();
    assert.equal(later.acme.kept?.cert, first.certificate.pair.cert, 'the next start serves it at once');
  });

  test('answer on 443, too, for the one that ordered', async () => {
    await using world = await startWorld();
    const [first, second] = [await world.open(), await world.open()];
    const answered: string[] = [];
    world.answerTls = async (name) => {
      const pair = await second.acme.challenges.alpn(name);
      if (pair) answered.push(name);
      return pair;
    };
    first.start();
    await world.later(first.log.next('certificate-issued'));
    assert.deepEqual([...new Set(answered)].sort(), [domain, ...names].sort());
    assert.equal(world.values.all.get('acme.tls-alpn'), '{}', 'taken back at the end');
  });

  test('know the account and keep it, whatever becomes of the certificate', async () => {
    await using world = await startWorld();
    const one = await world.open();
    world.answer = one.acme.challenges.http;
    one.start();
    const { url } = await one.log.next('acme-account');
    await one.log.next('certificate-issued');
    const [key, accountKey] = ['acme.certificate-key', 'acme.account-key'].map((k) =>
      world.values.all.get(k),
    );
    await one.acme[Symbol.asyncDispose]();

    world.values.all.set('acme.certificate', '{"cert":"broken"}');
    const two = await world.open();
    assert.equal(two.acme.kept, undefined, 'what cannot be used is not served');
    assert.equal((await two.log.next('acme-account'))['url'], url, 'told at the start');
    world.answer = two.acme.challenges.http;
    two.start();
    await two.log.next('certificate-issued');
    await two.log.next('certificate-replaced');
    assert.equal(two.certificate.pair.key, key);
    assert.equal(world.values.all.get('acme.account-key'), accountKey);
  });
});

describe('an order that is refused', { skip: without('pebble') }, () => {
  const problem = (subproblems?: object[]) => ({
    type: 'urn:ietf:params:acme:error:rejectedIdentifier',
    detail: 'policy forbids it',
    ...(subproblems === undefined ? {} : { subproblems }),
  });
  const cases = [
    ['for a name that is named goes on without that name', true, [domain, `www.${domain}`]],
    ['without a name goes on with the mail domain alone', false, [domain]],
  ] as const;
  for (const [title, named, left] of cases) {
    test(title, async () => {
      await using world = await startWorld({
        refuse: ({ identifiers }) =>
          identifiers.some(({ value }) => value.startsWith('mta-sts.'))
            ? problem(
                named
                  ? [{ ...problem(), identifier: { type: 'dns', value: `mta-sts.${domain}` } }]
                  : undefined,
              )
            : undefined,
      });
      const one = await world.open();
      world.answer = one.acme.challenges.http;
      one.start();
      assert.deepEqual((await one.log.next('certificate-issued'))['names'], left);
      const refused = await one.log.next('certificate-name-refused');
      assert.equal(refused['name'], `mta-sts.${domain}`);
      assert.match(String(refused['reason']), /policy forbids it/);
    });
  }

  test('for the mail domain is an error from the first time, and tried again after a while', async () => {
    let refuse = true;
    await using world = await startWorld({ refuse: () => (refuse ? problem() : undefined) });
    const one = await world.open();
    const own = one.certificate.pair;
    world.answer = one.acme.challenges.http;
    one.start();
    const failed = await one.log.next('certificate-failed');
    assert.equal(failed['level'], 50);
    assert.match(String(failed['reason']), /policy forbids it/);
    const wait = Date.parse(String(failed['next'])) - Date.parse(String(failed['since']));
    assert.equal(wait, 20 * minute);
    assert.equal(one.certificate.pair, own);
    refuse = false;
    world.clock.advance(19 * minute);
    await world.later(one.log.next('certificate-issued'));
  });
});

describe('a relay at an address', { skip: without('pebble') }, () => {
  const atAddress = {
    domain: '127.0.0.1',
    otherNames: () => Promise.resolve({ here: [], unsure: [] }),
  };

  test('has a certificate where the authority offers short-lived ones, and asks for that kind', async () => {
    const asked: unknown[] = [];
    await using world = await startWorld({
      profiles: ['classic', 'shortlived'],
      refuse: (order) => void asked.push(order),
    });
    const one = await world.open(atAddress);
    world.answer = one.acme.challenges.http;
    one.start();
    await one.log.next('certificate-replaced');
    // Pebble refuses a good nonce now and then: the same is asked twice.
    assert.deepEqual(asked[0], { identifiers: [{ type: 'ip', value: '127.0.0.1' }], profile: 'shortlived' });
    assert.equal(new X509Certificate(one.certificate.pair.cert).checkIP('127.0.0.1'), '127.0.0.1');
  });

  test('keeps its own where the authority offers none, which is no failure', async () => {
    await using world = await startWorld({ profiles: ['classic'] });
    const one = await world.open(atAddress);
    const own = one.certificate.pair;
    one.start();
    await one.log.next('certificate-not-offered');
    assert.equal(one.certificate.pair, own);
    assert.equal(one.log.events.filter(({ event }) => event === 'certificate-failed').length, 0);
  });
});
