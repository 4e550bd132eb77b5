import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Login } from '../accounts/login.ts';
import { systemRandom } from '../machine.ts';
import type { Loaded } from '../settings/load.ts';
import type { Settings } from '../settings/table.ts';
import { trialBanner } from './banner.ts';
import { inventAccount, recallTrial, rememberTrial, trialDomain } from './memory.ts';
import type { TrialMemory } from './memory.ts';
import { chooseTrialPorts, expectPortsFree } from './ports.ts';

export interface Trial {
  /** Settings that make a relay of it. */
  readonly settings: Settings;
  /** To print when the relay is ready. */
  readonly banner: string;
  /** Logs both accounts in, which makes them the first time. Throws where one cannot be made. */
  makeAccounts(login: Login): Promise<void>;
}

/**
 * Chooses ports and accounts, or recalls those of the last start, so that links given out stay good. Throws PortTaken
 * where a port of the last start is taken now.
 */
export async function prepareTrial(options: {
  readonly settings: Settings;
  readonly sources: Loaded['sources'];
  /** Listen on the machine's network address, for phones. */
  readonly lan: boolean;
}): Promise<Trial> {
  const { settings, sources, lan } = options;
  const host = lan ? networkAddress() : '127.0.0.1';
  const dataDir = join(settings.data_dir, 'trial');
  const path = join(dataDir, 'trial.json');

  const memory: TrialMemory = (await recallTrial(path)) ?? {
    ports: await chooseTrialPorts(host),
    accounts: [inventAccount(systemRandom), inventAccount(systemRandom)],
  };
  await expectPortsFree(host, memory.ports, path);
  await rememberTrial(path, memory);

  return {
    settings: {
      ...settings,
      ...memory.ports,
      mail_domain: trialDomain,
      data_dir: dataDir,
      listen_address: host,
      // A trial is tried with the links it prints; it has no pages.
      http_port: undefined,
      https_port: undefined,
      // The brakes keep strangers away from a busy machine; here the person who started it waits for two accounts.
      registration: 'open',
      max_load_1m: Infinity,
      min_available_memory: 0,
      min_free_disk_space: 0,
      // A person reads the banner; the log speaks up when something is wrong, or when asked to.
      log_level: sources.log_level.kind === 'default' ? 'warn' : settings.log_level,
    },
    banner: trialBanner({ memory, host, dataDir, lan }),
    async makeAccounts(login) {
      for (const { address, password } of memory.accounts) {
        const outcome = await login(address, password);
        if (outcome.kind !== 'ok') throw new Error(`trial account ${address}: ${outcome.reason}`);
      }
    },
  };
}

/** The first IPv4 address of this machine that others in its network can reach. */
function networkAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const found = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
  if (!found) throw new Error('--lan: this machine has no network address');
  return found.address;
}
