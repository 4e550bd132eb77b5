import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuthority } from '../../src/dns/authority.ts';
import { checkZone, summarize } from '../../src/dns/check.ts';
import type { Report } from '../../src/dns/check.ts';
import { wantedRecords } from '../../src/dns/records.ts';
import type { ZoneFacts } from '../../src/dns/records.ts';
import { createDnsServer } from '../harness/dns-server.ts';
import type { DnsServer } from '../harness/dns-server.ts';
import { delegate, publish } from '../harness/dns-zone.ts';

const domain = 'chat.example.test';
const zone = 'example.test';
/** Of the machine, in the eyes of the check. */
const own = '8.8.4.4';

const facts: ZoneFacts = {
  domain,
  addresses: [own],
  ports: { submission_port: 587, submissions_port: 465, imap_port: 143, imaps_port: 993 },
  dkim: [{ name: `opendkim._domainkey.${domain}`, value: `v=DKIM1;k=rsa;p=${'A'.repeat(392)};s=email;t=s` }],
  issuer: { authority: ['letsencrypt.org'], accountUrl: 'https://acme.example/acct/1' },
  certificateIsPublic: true,
  tlsReportAddress: 'tls@ops.example',
};

/** What a resolver knows, and on the same port of another address the server of the zone. */
async function servers() {
  await using scope = new AsyncDisposableStack();
  const resolver = scope.use(await createDnsServer());
  const authoritative = scope.use(await createDnsServer({ host: '127.0.0.2', port: resolver.port }));
  delegate(resolver, zone, ['127.0.0.2']);
  publish(resolver, '4.4.8.8.in-addr.arpa', { type: 'PTR', target: domain });
  const all = scope.move();
  return { resolver, authoritative, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

function fill(dns: DnsServer, except: (role: string, name: string) => boolean = () => false): void {
  for (const { name, data, role } of wantedRecords(facts)) if (!except(role, name)) publish(dns, name, data);
}

async function check(
  resolver: DnsServer,
  more: Partial<ZoneFacts> = {},
  ownAddresses = [own],
): Promise<Report> {
  using authority = createAuthority({ servers: [resolver.address], timeoutMs: 600, port: resolver.port });
  return await checkZone({ authority, facts: { ...facts, ...more }, ownAddresses });
}

const bad = (report: Report) =>
  report.findings
    .filter(({ state }) => state !== 'ok')
    .map(({ state, grade, type, name }) => `${state} ${grade} ${type} ${name}`);

test('what `show` advises comes out clean when it is published, and the servers of the zone are asked', async () => {
  await using dns = await servers();
  fill(dns.authoritative);
  const report = await check(dns.resolver);
  assert.deepEqual(bad(report), []);
  assert.deepEqual(
    report.findings.flatMap(({ notes }) => notes),
    [],
  );
  assert.equal(report.findings.length, wantedRecords(facts).length + 1);
  assert.deepEqual(report.zone, { name: zone, servers: [{ name: `ns0.${zone}`, address: '127.0.0.2' }] });
  assert.equal(report.fromResolver, false);
  // The resolver was asked who serves what, and for the name of the address; never for a record of the zone.
  assert.deepEqual([...new Set(dns.resolver.questions.map(({ type }) => type))].sort(), [
    'A',
    'CNAME',
    'NS',
    'PTR',
  ]);
  assert.ok(
    dns.authoritative.questions.some(({ name, over }) => name.startsWith('opendkim') && over === 'udp'),
  );
});

test('an empty zone is told record by record', async () => {
  await using dns = await servers();
  publish(dns.authoritative, domain, { type: 'A', address: own });
  const report = await check(dns.resolver);
  const { failing, weak, unknown } = summarize(report);
  assert.deepEqual(
    failing.map(({ state, type, name, want }) => [state, type, name, want.slice(0, 20)]),
    [
      ['missing', 'MX', domain, `10 ${domain}.`.slice(0, 20)],
      ['missing', 'TXT', `opendkim._domainkey.${domain}`, 'v=DKIM1;k=rsa;p=AAAA'],
    ],
  );
  assert.deepEqual(
    weak.map(({ role }) => role),
    ['spf', 'dmarc', 'mta-sts', 'alias', 'caa', 'tls-report'],
  );
  assert.deepEqual(unknown, []);
});

test('a memory of the resolver hides nothing: what its zone does not have is missing', async () => {
  await using dns = await servers();
  fill(dns.authoritative, (role) => role === 'dmarc');
  fill(dns.resolver);
  assert.deepEqual(bad(await check(dns.resolver)), [`missing should TXT _dmarc.${domain}`]);
});

test('where no server of the zone answers from here, the resolver is believed, and that is said', async () => {
  await using resolver = await createDnsServer();
  // Nobody listens there.
  delegate(resolver, zone, ['127.0.0.3']);
  publish(resolver, '4.4.8.8.in-addr.arpa', { type: 'PTR', target: domain });
  fill(resolver);
  const report = await check(resolver);
  assert.deepEqual(bad(report), []);
  assert.equal(report.fromResolver, true);
});

test('servers of a zone that do not agree are told, and the one behind counts', async () => {
  await using dns = await servers();
  await using second = await createDnsServer({ host: '127.0.0.3', port: dns.resolver.port });
  delegate(dns.resolver, zone, ['127.0.0.2', '127.0.0.3']);
  fill(dns.authoritative);
  fill(second, (role) => role === 'mail');
  const report = await check(dns.resolver);
  assert.deepEqual(bad(report), [`missing must MX ${domain}`]);
  const mail = report.findings.find(({ role }) => role === 'mail');
  assert.match(mail?.notes.join() ?? '', /do not agree/);
});

test('records behind CNAMEs, delegated names and addresses instead of aliases are found', async () => {
  await using dns = await servers();
  await using other = await createDnsServer({ host: '127.0.0.3', port: dns.resolver.port });
  const moved = new Set([`_dmarc.${domain}`, `opendkim._domainkey.${domain}`]);
  fill(dns.authoritative, (role, name) => moved.has(name) || role === 'alias');
  // _dmarc is an alias into another zone; _domainkey is a zone of its own.
  delegate(dns.resolver, 'reports.test', ['127.0.0.3']);
  delegate(dns.resolver, `_domainkey.${domain}`, ['127.0.0.3']);
  publish(dns.authoritative, `_dmarc.${domain}`, { type: 'CNAME', target: 'd.reports.test' });
  publish(other, 'd.reports.test', {
    type: 'TXT',
    text: 'v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:a@reports.test',
  });
  publish(other, `opendkim._domainkey.${domain}`, { type: 'TXT', text: facts.dkim[0]?.value ?? '' });
  for (const prefix of ['www', 'mta-sts', 'autoconfig'])
    publish(dns.authoritative, `${prefix}.${domain}`, { type: 'A', address: own });
  assert.deepEqual(bad(await check(dns.resolver)), []);
});

test('CAA is looked for upwards, as authorities do', async () => {
  await using dns = await servers();
  fill(dns.authoritative, (role) => role === 'caa');
  publish(dns.authoritative, zone, { type: 'CAA', flags: 0, tag: 'issue', value: 'other.example' });
  const report = await check(dns.resolver);
  assert.deepEqual(bad(report), [`differs must CAA ${domain}`]);
});

test('DNS that does not answer is unknown, not missing', async () => {
  await using dns = await servers();
  fill(dns.authoritative, (role) => role === 'mail');
  for (const server of [dns.authoritative, dns.resolver]) server.fail(`_dmarc.${domain}`);
  const report = await check(dns.resolver);
  assert.deepEqual(bad(report), [`missing must MX ${domain}`, `unknown should TXT _dmarc.${domain}`]);
});

test('a machine that has no public address takes what DNS has; one that DNS knows nothing of must be told', async () => {
  await using dns = await servers();
  fill(dns.authoritative);
  assert.deepEqual(bad(await check(dns.resolver, {}, ['10.0.0.5'])), []);
  dns.authoritative.remove(domain);
  const report = await check(dns.resolver, {}, ['10.0.0.5']);
  assert.ok(bad(report).includes(`missing must A ${domain}`), bad(report).join('\n'));
});

test('the name of the address: another than ours will do if it leads back', async () => {
  await using dns = await servers();
  fill(dns.authoritative);
  const arpa = '4.4.8.8.in-addr.arpa';
  const reverse = async () => (await check(dns.resolver)).findings.find(({ role }) => role === 'reverse');
  dns.resolver.remove(arpa);
  assert.equal((await reverse())?.state, 'missing');
  publish(dns.resolver, arpa, { type: 'PTR', target: 'vps7.host.test' });
  assert.deepEqual([(await reverse())?.state, (await reverse())?.grade], ['differs', 'should']);
  publish(dns.resolver, 'vps7.host.test', { type: 'A', address: own });
  assert.equal((await reverse())?.state, 'ok');
  assert.match((await reverse())?.notes.join() ?? '', /vps7\.host\.test, which leads back/);
});

test('an alias that the resolver remembers is not taken for a zone of its own', async () => {
  await using dns = await servers();
  fill(dns.authoritative);
  // Until a minute ago www led to a name that is a zone itself.
  publish(dns.resolver, `www.${domain}`, { type: 'CNAME', target: 'site.test' });
  delegate(dns.resolver, 'site.test', ['127.0.0.3']);
  await using other = await createDnsServer({ host: '127.0.0.3', port: dns.resolver.port });
  assert.deepEqual(bad(await check(dns.resolver)), []);
  assert.deepEqual(other.questions, []);
});
