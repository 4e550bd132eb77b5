import { UnusableKey } from '../dkim/keys.ts';
import { createAuthority } from '../dns/authority.ts';
import type { Authority } from '../dns/authority.ts';
import type { ZoneFacts } from '../dns/records.ts';
import { second } from '../clock.ts';
import { listenedAddresses } from '../machine.ts';
import type { Settings } from '../settings/table.ts';
import { openValues } from '../stores.ts';
import { readZoneFacts } from '../zone-facts.ts';
import { exitCodes } from './command.ts';
import type { Call, ExitCode } from './command.ts';
import { tellingProblems } from './expected-problem.ts';

/** What a test puts in the place of the world. */
export interface DnsWorld {
  /** Where name servers listen. */
  readonly port?: number;
  /** Of the machine's interfaces. */
  readonly ownAddresses?: readonly string[];
}

/** A person waits. */
const TIMEOUT = 6 * second;

export interface ZoneCall {
  readonly call: Call;
  readonly settings: Settings;
  readonly facts: Omit<ZoneFacts, 'addresses'>;
  readonly authority: Authority;
  /** At which the relay listens. */
  readonly ownAddresses: readonly string[];
}

/** Reads what the zone needs, hands it to `work`, and tells what goes wrong in one line. */
export async function withZone(
  call: Call,
  world: DnsWorld,
  work: (zone: ZoneCall) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { settings } = call.loadSettings();
  if (settings.mail_domain === undefined) {
    call.printError('teal: there is no mail_domain: set it first');
    return exitCodes.failure;
  }
  const look = async () => {
    const facts = await readFacts(call, settings);
    if (facts === undefined) {
      call.print(
        `${settings.mail_domain} is a bare address: it has no zone, and no record is needed. What helps is a name for ` +
          'the address (PTR) that leads back to it; it is set where the machine is rented.',
      );
      return exitCodes.ok;
    }
    using authority = openAuthority(settings, world);
    return await work({
      call,
      settings,
      facts,
      authority,
      ownAddresses: listenedAddresses(settings, world.ownAddresses),
    });
  };
  return tellingProblems(call, look, UnusableKey);
}

async function readFacts(call: Call, settings: Settings) {
  await using values = await openValues(settings, {
    onFault: (where, error) => call.printError(`${where}: ${error.message}`),
  });
  return await readZoneFacts(settings, values);
}

export function openAuthority({ dns_servers: servers }: Settings, { port }: DnsWorld): Authority {
  return createAuthority({ servers, timeoutMs: TIMEOUT, ...(port === undefined ? {} : { port }) });
}

/**
 * The zone that names are told relative to: `--zone`, else the one that DNS knows, else a guess from the name, and
 * which of these it is, in words.
 */
export async function zoneFor(
  domain: string,
  given: string | undefined,
  authority: Authority,
): Promise<{ readonly zone: string; readonly how: string }> {
  if (given !== undefined) return { zone: given, how: 'as given by --zone' };
  const found = await authority.zoneOf(domain).catch(() => undefined);
  if (found !== undefined) return { zone: found.name, how: 'as DNS says' };
  const zone = domain.split('.').slice(-2).join('.');
  return { zone, how: 'a guess, as DNS knows no zone for it yet: say --zone if yours is another' };
}
