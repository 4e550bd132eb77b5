import { checkZone, summarize } from '../dns/check.ts';
import type { Finding, Report } from '../dns/check.ts';
import { relativeName } from '../dns/zone.ts';
import { UsageError, exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import { withZone, zoneFor } from './dns.ts';
import type { DnsWorld } from './dns.ts';
import { zoneFlag } from './dns-show.ts';

/** `teal dns check [--zone ZONE]`: 1 where something that must be there is not, or could not be asked for. */
export async function dnsCheck(call: Call, world: DnsWorld = {}): Promise<ExitCode> {
  const given = zoneFlag(call, 'dns check');
  return withZone(call, world, async ({ facts, authority, ownAddresses }) => {
    const report = await checkZone({ authority, facts, ownAddresses });
    const { zone, how } = await zoneFor(facts.domain, given, authority);
    if (facts.domain !== zone && !facts.domain.endsWith(`.${zone}`))
      throw new UsageError(`--zone must be the end of ${facts.domain}, got ${zone}`, 'dns check');
    call.print(reportText(report, zone, how));
    const { failing, unknown } = summarize(report);
    const unanswered = unknown.some(({ grade }) => grade === 'must');
    return failing.length > 0 || unanswered ? exitCodes.failure : exitCodes.ok;
  });
}

/** For a person: what was asked of whom, a line for what is right, and for the rest what to type. */
export function reportText(report: Report, zone: string, how: string): string {
  const { failing, weak, unknown } = summarize(report);
  const servers = (report.zone?.servers ?? []).map(({ name, address }) => `${name} (${address})`);
  const good = report.findings.filter(({ state }) => state === 'ok');
  const bad = report.findings.filter(({ state }) => state !== 'ok');
  const asked = servers.length > 0 ? `asked ${servers.join(', ')}` : 'no name server of the zone is known';
  return [
    `${report.domain} is in the zone ${zone} (${how}); ${asked}`,
    ...(report.fromResolver
      ? [
          'Some answers are from the usual resolver, as those servers did not answer from here: they may be old.',
        ]
      : []),
    '',
    ...good.flatMap((finding) => [
      `ok       ${finding.grade.padEnd(6)}  ${finding.type.padEnd(5)}  ${finding.name}`,
      ...finding.notes.map((note) => `         note: ${note}`),
    ]),
    ...bad.flatMap((finding) => ['', ...findingLines(finding, zone)]),
    '',
    failing.length + weak.length + unknown.length === 0
      ? 'All that must and should be in DNS is there.'
      : `${failing.length} that must be put right, ${weak.length} that should, ${unknown.length} that DNS did not answer.`,
  ].join('\n');
}

const words = { missing: 'MISSING', differs: 'DIFFERS', unknown: 'UNKNOWN', ok: 'ok' } as const;

function findingLines(finding: Finding, zone: string): string[] {
  const { grade, type, name, want, have, why, notes, state, role } = finding;
  return [
    `${words[state].padEnd(7)}  ${grade.padEnd(6)}  ${type.padEnd(5)}  ${name}`,
    `         ${why}`,
    ...notes.map((note) => `         note: ${note}`),
    `         want: ${want}`,
    ...have.map((text) => `         have: ${text}`),
    ...(role === 'reverse' || state === 'unknown'
      ? []
      : [
          `         type: name ${relativeName(name, zone)}, type ${type}, the value as wanted (the name in full: ${name}.)`,
        ]),
  ];
}
