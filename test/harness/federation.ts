import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dkimRecords } from '../../src/dkim/keys.ts';
import type { Overrides } from '../../src/relay.ts';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { createDnsServer } from './dns-server.ts';
import type { DnsServer } from './dns-server.ts';
import { startTestRelay } from './relay.ts';
import type { TestRelay } from './relay.ts';
import { selfSigned } from './self-signed.ts';

/** Where the ports 25 and 443 of a host really are; without one nobody listens there. */
interface Place {
  smtp?: number;
  https?: number;
}

/**
 * Several relays with names of their own on this machine: DNS that knows them, certificates that all of them trust, and
 * a dialler that finds their ports. Nothing else stands between them.
 */
export interface Federation extends AsyncDisposable {
  readonly dns: DnsServer;
  /** A relay of `domain` that all others find. */
  relay(domain: string, env?: Record<string, string>, overrides?: Overrides): Promise<TestRelay>;
  /** Makes another server known: its MX is the domain itself. Answers with a certificate for it that all trust. */
  foreign(domain: string, place: Place): Promise<KeyPair>;
  /** Moves the ports of a host; with `undefined` nobody listens there any more. */
  readonly places: Map<string, Place>;
  /** What a relay is to be started with to find the others. */
  surroundings(): { readonly env: Record<string, string>; readonly overrides: Overrides };
}

/** A port of loopback where nobody ever listens. */
const NOWHERE = 9;

export async function createFederation(domains: readonly string[]): Promise<Federation> {
  await using begun = new AsyncDisposableStack();
  const dns = begun.use(await createDnsServer());
  const dir = await mkdtemp(join(tmpdir(), 'teal-federation-'));
  begun.defer(() => rm(dir, { recursive: true, force: true }));
  const certificates = new Map<string, KeyPair>();
  for (const domain of domains) certificates.set(domain, await selfSigned(domain));
  const places = new Map<string, Place>();

  const surroundings: Federation['surroundings'] = () => ({
    env: { TEAL_DNS_SERVERS: dns.address },
    overrides: {
      // Each certificate is its own root.
      trustedCa: [...certificates.values()].map(({ cert }) => cert).join('\n'),
      dialler: (host, port) => {
        const place = places.get(host);
        return { host: '127.0.0.1', port: (port === 443 ? place?.https : place?.smtp) ?? NOWHERE };
      },
    },
  });

  const certificateOf = (domain: string): KeyPair => {
    const pair = certificates.get(domain);
    if (!pair) throw new Error(`${domain} is not of this federation`);
    return pair;
  };
  const publish = (domain: string) => {
    dns.add({ name: domain, type: 'MX', ttl: 60, data: { preference: 10, exchange: domain } });
    dns.add({ name: domain, type: 'A', ttl: 60, data: '127.0.0.1' });
  };

  const all = begun.move();
  return {
    dns,
    places,
    surroundings,
    async relay(domain, env = {}, overrides = {}) {
      const { cert, key } = certificateOf(domain);
      const [certFile, keyFile] = [join(dir, `${domain}.cert`), join(dir, `${domain}.key`)];
      await writeFile(certFile, cert);
      await writeFile(keyFile, key);
      const found = surroundings();
      const relay = await startTestRelay(
        {
          ...found.env,
          MAIL_DOMAIN: domain,
          TEAL_TLS_EXTERNAL_CERT_AND_KEY: `${certFile} ${keyFile}`,
          ...env,
        },
        { ...found.overrides, ...overrides },
      );
      all.use(relay);
      publish(domain);
      const { dkim_selector_rsa: rsa, dkim_selector_ed25519: ed25519 } = relay.settings;
      for (const { name, value } of await dkimRecords(relay.store.values, domain, { rsa, ed25519 }))
        dns.setTxt(name, value);
      places.set(domain, {
        smtp: relay.ports.smtp_port,
        ...(relay.ports.https_port === undefined ? {} : { https: relay.ports.https_port }),
      });
      return relay;
    },
    async foreign(domain, place) {
      publish(domain);
      places.set(domain, place);
      return certificateOf(domain);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
