import { isIPv4 } from 'node:net';
import { relayAddresses, reverseName } from '../dns/addresses.ts';
import { wantedRecords } from '../dns/records.ts';
import type { WantedRecord } from '../dns/records.ts';
import { TTL, canonicalName, formText, grades, relativeName, zoneLine } from '../dns/zone.ts';
import { UsageError, exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import { withZone, zoneFor } from './dns.ts';
import type { DnsWorld, ZoneCall } from './dns.ts';

const FORMATS = ['bind', 'table'];

/** `teal dns show [--format bind|table] [--zone ZONE]` */
export async function dnsShow(call: Call, world: DnsWorld = {}): Promise<ExitCode> {
  const format = call.flags.get('format');
  if (format !== undefined && !FORMATS.includes(String(format)))
    throw new UsageError(`--format must be bind or table, got "${String(format)}"`, 'dns show');
  const given = zoneFlag(call, 'dns show');
  return withZone(call, world, async (zoneCall) => {
    const { facts, authority } = zoneCall;
    const addresses = await knownAddresses(zoneCall);
    const records = wantedRecords({ ...facts, addresses });
    const { zone, how } = await zoneFor(facts.domain, given, authority);
    if (facts.domain !== zone && !facts.domain.endsWith(`.${zone}`))
      throw new UsageError(`--zone must be the end of ${facts.domain}, got ${zone}`, 'dns show');
    const parts = [
      ...(format === 'table' ? [] : [bindText(facts.domain, records, addresses)]),
      ...(format === 'bind' ? [] : [tableText(records, addresses, zone, how)]),
    ];
    call.print(parts.join('\n\n'));
    return exitCodes.ok;
  });
}

/** The name that `--zone` gives. */
export function zoneFlag({ flags }: Call, command: string): string | undefined {
  const given = flags.get('zone');
  if (typeof given !== 'string') return undefined;
  const zone = canonicalName(given);
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(zone))
    throw new UsageError(`--zone must be a DNS name, got "${given}"`, command);
  return zone;
}

async function knownAddresses({ authority, facts, ownAddresses }: ZoneCall): Promise<readonly string[]> {
  const answers = await Promise.allSettled(
    (['A', 'AAAA'] as const).map((type) => authority.ask(facts.domain, type)),
  );
  const published = answers.flatMap((answer) =>
    answer.status === 'fulfilled'
      ? answer.value.variants.flat().flatMap((record) => ('address' in record ? [record.address] : []))
      : [],
  );
  return relayAddresses(ownAddresses, published);
}

/** What the operator must know, as nobody here does. */
const UNKNOWN_IPV4 = '<the public IPv4 address of this machine>';
const UNKNOWN_IPV6 = '<its public IPv6 address, if it has one>';

/** A zone file without SOA and NS, which the zone has already (RFC 1035 5). */
function bindText(domain: string, records: readonly WantedRecord[], addresses: readonly string[]): string {
  const unknown = [
    ...(addresses.some(isIPv4) ? [] : [`; ${domain}. ${TTL} IN A ${UNKNOWN_IPV4}`]),
    ...(addresses.length > 0 ? [] : [`; ${domain}. ${TTL} IN AAAA ${UNKNOWN_IPV6}`]),
  ];
  const lines = grades.flatMap((grade) => [
    `; ${headings[grade]}`,
    ...(grade === 'must' && addresses.length === 0 ? unknown : []),
    ...records.filter((record) => record.grade === grade).map(({ name, data }) => zoneLine(name, data)),
  ]);
  const reverse = addresses.map((address) => `; ${reverseName(address)}. IN PTR ${domain}.`);
  return [
    ...lines,
    `; where the machine is rented: the name of its address${reverse.length > 0 ? '' : `, ${domain}`}`,
    ...reverse,
  ].join('\n');
}

const headings = {
  must: 'must: without these mail does not get through',
  should: 'should: some servers or apps do worse without, or others could do harm',
  nice: 'nice: an ease for people',
} as const;

/** For the form of a DNS provider, which wants names relative to the zone, and text without quotes and in one piece. */
function tableText(
  records: readonly WantedRecord[],
  addresses: readonly string[],
  zone: string,
  how: string,
): string {
  const domain = records.find(({ role }) => role === 'mail')?.name ?? zone;
  const rows = [
    ...(addresses.length > 0
      ? []
      : [
          ['must', 'A', domain, relativeName(domain, zone), UNKNOWN_IPV4],
          ['should', 'AAAA', domain, relativeName(domain, zone), UNKNOWN_IPV6],
        ]),
    ...records.map(({ grade, data, name }) => [
      grade,
      data.type,
      name,
      relativeName(name, zone),
      formText(data),
    ]),
    ...(addresses.length > 0 ? addresses : ['<its addresses>']).map((address) => [
      'should',
      'PTR',
      address,
      '(where it is rented)',
      `${domain}.`,
    ]),
  ];
  const head = ['grade', 'type', 'name in full', `name in ${zone}`, 'value'];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 4 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ');
  return [`The zone is ${zone} (${how}).`, '', ...[head, ...rows].map(line)].join('\n');
}
