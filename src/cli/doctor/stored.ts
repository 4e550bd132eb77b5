import { X509Certificate } from 'node:crypto';
import { reverseName } from '../../dns/addresses.ts';
import { checkZone } from '../../dns/check.ts';
import { DnsTrouble } from '../../dns/resolver.ts';
import { createAddressList } from '../../limits/address-list.ts';
import { listenedAddresses, systemClock } from '../../machine.ts';
import { addressDomain, kindOfMailDomain } from '../../settings/mail-domain.ts';
import type { Settings } from '../../settings/table.ts';
import type { Values } from '../../store/contract.ts';
import { openValues, storeIsThere } from '../../stores.ts';
import { readAcmeCertificate } from '../../tls/acme-state.ts';
import { BadCertificateFile, readKeyPair } from '../../tls/files.ts';
import { readZoneFacts } from '../../zone-facts.ts';
import { openAuthority } from '../dns.ts';
import type { DnsWorld } from '../dns.ts';
import { attempt, within } from './bounded.ts';
import { judgeCertificate } from './certificate.ts';
import type { CertificateFact } from './certificate.ts';
import { bad, ok, warn } from './line.ts';
import type { Line } from './line.ts';
import { judgeDns } from './network.ts';
import type { PortFact } from './ports.ts';
import { PROBE_TIMEOUT, shownCertificate } from './probes.ts';

/** What needs the store: that it answers, DNS with the keys in it, the certificate. */
export async function stored(
  settings: Settings,
  domain: string,
  ports: readonly PortFact[],
  world: DnsWorld,
): Promise<readonly Line[]> {
  if (!storeIsThere(settings)) {
    return [
      ok('store', 'there is none yet: it is made when Teal is started'),
      await dnsWithoutStore(settings, world, 'made with the store; teal dns show makes both'),
      ...(await certificate(settings, domain, ports)),
    ];
  }
  try {
    await using values = await within(PROBE_TIMEOUT, openValues(settings, { onFault: () => {} }), (late) => {
      void late[Symbol.asyncDispose]();
    });
    const lines = await Promise.all([
      storeLine(values, domain),
      dns(settings, values, world),
      certificate(settings, domain, ports, values),
    ]);
    return lines.flat();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [
      bad('store', `cannot be opened: ${why}`),
      await dnsWithoutStore(settings, world, 'in the store'),
      ...(await certificate(settings, domain, ports)),
    ];
  }
}

async function storeLine(values: Values, domain: string): Promise<Line> {
  const of = await within(PROBE_TIMEOUT, values.get('domain'));
  return of === undefined || of === addressDomain(domain)
    ? ok('store', of === undefined ? 'answers; no relay was served from it yet' : 'answers')
    : bad('store', `it is that of ${of}, and mail_domain is ${domain}`);
}

async function dns(settings: Settings, values: Values, world: DnsWorld): Promise<readonly Line[]> {
  const facts = await readZoneFacts(settings, values);
  if (facts === undefined) return [await bareAddress(settings, world)];
  using authority = openAuthority(settings, world);
  const own = listenedAddresses(settings, world.ownAddresses);
  return judgeDns(await checkZone({ authority, facts, ownAddresses: own }));
}

/** Where the keys are not to be had. */
async function dnsWithoutStore(settings: Settings, world: DnsWorld, where: string): Promise<Line> {
  return kindOfMailDomain(settings.mail_domain ?? '') === 'ipv4'
    ? bareAddress(settings, world)
    : warn('dns', `not looked at: the keys in it are ${where}`);
}

/** All that DNS has of a bare address is its name, which some servers want to lead back. */
async function bareAddress(settings: Settings, world: DnsWorld): Promise<Line> {
  const address = settings.mail_domain ?? '';
  using authority = openAuthority(settings, world);
  const { resolver } = authority;
  try {
    const [name] = (await resolver.ask(reverseName(address), 'PTR')).flatMap((record) =>
      record.type === 'PTR' ? [record.target] : [],
    );
    if (name === undefined)
      return warn('ptr', `${address} has no name; it is set where the machine is rented`);
    const back = await resolver.ask(name, 'A');
    return back.some((record) => 'address' in record && record.address === address)
      ? ok('ptr', `${address} is ${name}, and back; a bare address needs nothing else in DNS`)
      : warn('ptr', `${address} is ${name}, which does not lead back to it`);
  } catch (error) {
    if (!(error instanceof DnsTrouble)) throw error;
    return warn('ptr', `DNS did not say whether ${address} has a name`);
  }
}

async function certificate(
  settings: Settings,
  domain: string,
  ports: readonly PortFact[],
  values?: Values,
): Promise<readonly Line[]> {
  const running = await shown(settings, domain, ports);
  const { tls_external_cert_and_key: files } = settings;
  if (files === undefined)
    return [certificateLine(domain, running ?? (values === undefined ? undefined : await inStore(values)))];
  const line = await filesLine(files, domain);
  if (running === undefined) return [line];
  // What is served may be older than what stands in the files, or lack what the files lack.
  return [certificateLine(domain, running), ...(line.state === 'ok' ? [] : [line])];
}

function certificateLine(domain: string, fact: CertificateFact | undefined): Line {
  return judgeCertificate(fact, {
    domain,
    needsAuthority: kindOfMailDomain(domain) === 'name',
    now: systemClock.now(),
  });
}

/** What a Teal that runs shows to those who come. */
async function shown(
  settings: Settings,
  domain: string,
  ports: readonly PortFact[],
): Promise<CertificateFact | undefined> {
  const imaps = ports.find(({ key }) => key === 'imaps_port');
  if (imaps?.holder.kind !== 'taken') return undefined;
  const servername = kindOfMailDomain(domain) === 'ipv4' ? undefined : domain;
  try {
    const host = settings.listen_address ?? '127.0.0.1';
    const proxies = createAddressList(settings.proxy_protocol_from);
    return { from: `port ${imaps.port}`, ...(await shownCertificate(host, imaps.port, servername, proxies)) };
  } catch {
    return undefined;
  }
}

/** What Teal would make of the files at a start. */
async function filesLine({ cert, key }: { cert: string; key: string }, domain: string): Promise<Line> {
  const problems: string[] = [];
  try {
    const checks = {
      now: systemClock.now(),
      names: [domain],
      warn: (problem: string) => problems.push(problem),
    };
    const found = new X509Certificate((await readKeyPair(cert, key, checks)).cert);
    const line = certificateLine(domain, { from: cert, certificate: found, untrusted: selfSigned(found) });
    return line.state === 'ok' && problems.length > 0 ? warn(line.topic, problems.join('; ')) : line;
  } catch (error) {
    if (!(error instanceof BadCertificateFile)) throw error;
    return bad('certificate', error.message);
  }
}

async function inStore(values: Values): Promise<CertificateFact | undefined> {
  const pem = await readAcmeCertificate(values);
  const found = pem === undefined ? undefined : attempt(() => new X509Certificate(pem));
  return found && { from: 'the store', certificate: found, untrusted: selfSigned(found) };
}

/** Whether its authority is one that clients know is seen when it is served only. */
function selfSigned({ issuer, subject }: X509Certificate): string | undefined {
  return issuer === subject ? 'self-signed' : undefined;
}
