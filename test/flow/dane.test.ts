import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { Overrides } from '../../src/relay.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createEventLog } from '../harness/event-log.ts';
import type { LoggedEvent } from '../harness/event-log.ts';
import { createFederation } from '../harness/federation.ts';
import { createScriptedSmtp } from '../harness/scripted-smtp.ts';
import { selfSigned } from '../harness/self-signed.ts';
import { connectSmtp } from '../harness/smtp-client.ts';
import { until } from '../harness/until.ts';

const PASSWORD = 'a-password-of-somebody';
const ALICE = 'alicealic@one.test';

/** A relay and, at two.test, a mail server with TLSA records in a signed zone. */
async function fixture(mode: string, overrides: Overrides = {}) {
  const all = new AsyncDisposableStack();
  const log = createEventLog();
  const federation = all.use(await createFederation(['one.test', 'two.test']));
  const env = { TEAL_HTTPS_PORT: 'off', TEAL_DANE: mode };
  const one = await federation.relay('one.test', env, { log: log.log, ...overrides });
  await one.login(ALICE, PASSWORD, { countsAsUse: true, peer: '127.0.0.1' });
  const place = { smtp: 0 };
  const certificate = await federation.foreign('two.test', place);
  const server = all.use(await createScriptedSmtp(certificate));
  place.smtp = server.port;
  federation.dns.sign('two.test');

  return {
    server,
    certificate,
    events: (name: string) => log.events.filter(({ event }) => event === name),
    publish(pem: string): void {
      const digest = createHash('sha256').update(new X509Certificate(pem).raw).digest();
      const data = { usage: 3, selector: 0, matchingType: 1, certificate: digest };
      federation.dns.add({ name: '_25._tcp.two.test', type: 'TLSA', ttl: 60, data });
    },
    /** Sends until there is such an event: records count from the moment on at which they are known. */
    async sendUntil(wanted: (event: LoggedEvent) => boolean): Promise<void> {
      await using smtp = await connectSmtp({ port: one.ports.submissions_port, tls: true });
      assert.equal((await smtp.login(ALICE, PASSWORD)).code, 235);
      for (let sent = 1; !log.events.some(wanted); sent += 1) {
        const { text } = await smtp.deliver(ALICE, ['bob@two.test'], mail({ from: ALICE }));
        assert.match(text, /^250 /);
        const tried = () => log.events.filter(({ event }) => /^mail-(?:delivered|deferred)$/.test(event));
        await until(() => tried().length >= sent, 'the message was tried');
      }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

test('by default a certificate that its DANE records do not name is told in the log, and gets the mail', async () => {
  await using it = await fixture('report');
  it.publish((await selfSigned('two.test')).cert);
  await it.sendUntil(({ event }) => event === 'dane-mismatch');
  const [found] = it.events('dane-mismatch');
  assert.deepEqual([found?.['destination'], found?.['host']], ['two.test', 'two.test']);
  assert.deepEqual(it.events('mail-deferred'), []);
});

test('enforced, it gets none, and the queue says why', async () => {
  await using it = await fixture('enforce');
  it.publish((await selfSigned('two.test')).cert);
  await it.sendUntil(({ event }) => event === 'mail-deferred');
  const [found] = it.events('mail-deferred');
  assert.equal(found?.['status'], '4.7.5');
  assert.match(
    String(found['reason']),
    /^no safe TLS with two.test: its certificate does not fit its DANE records/,
  );
});

test('enforced, a certificate that they name gets the mail though no authority vouches for it', async () => {
  const trustedCa = (await selfSigned('nobody.test')).cert;
  await using it = await fixture('enforce', { trustedCa });
  it.publish(it.certificate.cert);
  await it.sendUntil(({ event }) => event === 'mail-delivered');
  assert.ok(it.events('mail-deferred').length > 0, 'the first time nothing was known');
  assert.equal(it.server.transactions.length, 1);
});
