import { existsSync } from 'node:fs';
import { constrainedMemory } from 'node:process';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { machineReadings } from '../accounts/brakes.ts';
import type { BrakeReadings } from '../accounts/brakes.ts';
import { createLookup } from '../dns/lookup.ts';
import type { Lookup } from '../dns/lookup.ts';
import { createValidatingLookup } from '../dns/validating.ts';
import { hostOf, systemClock, systemRandom } from '../machine.ts';
import { kindOfMailDomain } from '../settings/mail-domain.ts';
import { publicPortKeys } from '../settings/check.ts';
import type { Settings } from '../settings/table.ts';
import { placeOf } from '../stores.ts';
import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import type { DnsWorld } from './dns.ts';
import { bad, linesText, ok, warn } from './doctor/line.ts';
import type { Line } from './doctor/line.ts';
import { fileLimit, holderOf, listeningPrograms } from './doctor/listeners.ts';
import { judgeClock, judgeDisk, judgeFiles, judgeMemory, judgeNode } from './doctor/machine.ts';
import { judgeDnssec, judgeOutgoing, judgeReach } from './doctor/network.ts';
import type { Outgoing } from './doctor/network.ts';
import { attempt } from './doctor/bounded.ts';
import { stored } from './doctor/stored.ts';
import { isRunning, judgePorts } from './doctor/ports.ts';
import type { PortFact } from './doctor/ports.ts';
import {
  PROBE_TIMEOUT,
  checksDnssec,
  clockAhead,
  mailServersOfOthers,
  tryConnect,
  tryMailServer,
} from './doctor/probes.ts';

/** What a test puts in the place of the world. */
export interface DoctorWorld extends DnsWorld {
  /** Mail servers of others. */
  readonly mailServers?: readonly { readonly host: string; readonly port: number }[];
  readonly readings?: Pick<BrakeReadings, 'availableMemory' | 'freeDiskSpace'>;
}

/** `teal doctor`: all questions at the same time, each with an end; nothing is changed. */
export async function doctor(call: Call, world: DoctorWorld = {}): Promise<ExitCode> {
  const { settings, notes } = call.loadSettings();
  const { mail_domain: domain } = settings;
  const lines: Line[] = [judgeNode(process.versions.node), ...notes.map((note) => warn('settings', note))];
  if (domain === undefined) {
    lines.push(bad('settings', 'there is no mail_domain: teal serve would run a trial'));
    call.print(linesText(lines));
    return exitCodes.failure;
  }
  lines.push(ok('settings', `${domain}, store ${settings.store}, data in ${placeOf(settings)}`));

  using lookup = createLookup({ servers: settings.dns_servers, timeoutMs: PROBE_TIMEOUT });
  const ports = await portFacts(settings);
  const running = isRunning(ports);
  const groups = await Promise.all([
    machine(settings, ports, world),
    clock(settings),
    outgoing(world, lookup),
    dnssec(settings),
    running ? reach(settings, domain, lookup) : Promise.resolve([]),
    stored(settings, domain, ports, world),
  ]);
  lines.push(...judgePorts(ports), ...groups.flat(), registration(settings));
  call.print(linesText(lines));
  return lines.some(({ state }) => state === 'bad') ? exitCodes.failure : exitCodes.ok;
}

async function portFacts(settings: Settings): Promise<readonly PortFact[]> {
  const programs = await listeningPrograms();
  const host = hostOf(settings);
  const facts: PortFact[] = [];
  // One after the other: two settings may name the same port.
  for (const key of publicPortKeys) {
    const port = settings[key];
    if (port !== undefined && port !== 0)
      facts.push({ key, port, holder: await holderOf(host, port, programs) });
  }
  return facts;
}

async function machine(
  settings: Settings,
  ports: readonly PortFact[],
  world: DoctorWorld,
): Promise<readonly Line[]> {
  // By the very readings that stop new accounts: others take the page cache of a container for used.
  const { availableMemory, freeDiskSpace } = world.readings ?? machineReadings(settings.data_dir);
  const allowed = constrainedMemory();
  const teal = ports.flatMap(({ holder }) =>
    holder.kind === 'taken' && holder.program?.isTeal === true ? [holder.program.pid] : [],
  )[0];
  const limit = await fileLimit(teal ?? 'self');
  return [
    judgeDisk(attempt(freeDiskSpace), settings.min_free_disk_space),
    judgeMemory(
      attempt(availableMemory),
      allowed > 0 ? Math.min(allowed, totalmem()) : totalmem(),
      settings.min_available_memory,
    ),
    judgeFiles({ limit, of: teal === undefined ? 'this shell' : 'Teal' }, settings),
  ];
}

async function clock({ acme_directory: url }: Settings): Promise<readonly Line[]> {
  const ahead = await clockAhead(url, () => systemClock.now());
  return [judgeClock(ahead, new URL(url).hostname)];
}

async function outgoing({ mailServers }: DoctorWorld, lookup: Lookup): Promise<readonly Line[]> {
  const others = mailServers ?? (await mailServersOfOthers(lookup)).map((host) => ({ host, port: 25 }));
  const tried: readonly Outgoing[] = await Promise.all(
    others.map(({ host, port }) => tryMailServer(host, port)),
  );
  return [judgeOutgoing(tried)];
}

async function dnssec({ dane, dns_servers: servers }: Settings): Promise<readonly Line[]> {
  const lookup = createValidatingLookup({
    timeoutMs: PROBE_TIMEOUT,
    clock: systemClock,
    random: systemRandom,
    ...(servers.length > 0 ? { servers } : {}),
  });
  return judgeDnssec(await checksDnssec(lookup), dane);
}

/** Addresses of our name that are tried. */
const MAX_ADDRESSES = 4;

async function reach(settings: Settings, domain: string, lookup: Lookup): Promise<readonly Line[]> {
  const found =
    kindOfMailDomain(domain) === 'ipv4'
      ? [domain]
      : (await Promise.all((['A', 'AAAA'] as const).map((type) => lookup.ask(domain, type).catch(() => []))))
          .flat()
          .flatMap((record) => ('address' in record ? [record.address] : []));
  const ports = publicPortKeys.flatMap((key) => settings[key] ?? []).filter((port) => port !== 0);
  const tried = found.slice(0, MAX_ADDRESSES).flatMap((address) =>
    ports.map(async (port) => ({
      address,
      port,
      reached: await tryConnect(address, port).then(
        () => true,
        () => false,
      ),
    })),
  );
  return [judgeReach(domain, await Promise.all(tried))];
}

function registration(settings: Settings): Line {
  if (settings.registration === 'closed') return ok('registration', 'closed');
  return existsSync(join(settings.data_dir, 'nocreate'))
    ? ok('registration', 'closed by the file nocreate in data_dir')
    : ok('registration', settings.registration === 'token' ? 'by token' : settings.registration);
}
