import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRelay } from '../../src/relay.ts';
import type { Overrides, Relay } from '../../src/relay.ts';
import { loadSettings } from '../../src/settings/load.ts';
import type { Settings } from '../../src/settings/table.ts';
import { loginLink } from '../../src/trial/memory.ts';
import type { Servers } from './delta-chat.ts';

/** A whole relay in this process, on ports that the system picks, with its data in a directory that goes with it. */
export interface TestRelay extends Relay {
  readonly domain: string;
  /** For its data and whatever a test puts there. */
  readonly dir: string;
  readonly settings: Settings;
  /** What a client is told by hand. */
  servers(security?: 'ssl' | 'starttls'): Servers;
  /** The dclogin: link of an account that need not be there yet. */
  loginLink(local: string, password: string): string;
}

export const testDomain = '_relay.test';

/** Settings for a relay on loopback, with `env` (TEAL_…) on top. */
export function testSettings(dir: string, env: Record<string, string> = {}): Settings {
  return loadSettings({
    configPath: undefined,
    cwd: dir,
    env: {
      MAIL_DOMAIN: testDomain,
      TEAL_DATA_DIR: join(dir, 'data'),
      TEAL_LISTEN_ADDRESS: '127.0.0.1',
      TEAL_SMTP_PORT: '0',
      TEAL_SUBMISSION_PORT: '0',
      TEAL_SUBMISSIONS_PORT: '0',
      TEAL_IMAP_PORT: '0',
      TEAL_IMAPS_PORT: '0',
      TEAL_HTTP_PORT: '0',
      TEAL_HTTPS_PORT: '0',
      // Port 9 answers nobody: no test reaches the world's DNS, authorities or notifier by mistake.
      TEAL_DNS_SERVERS: '127.0.0.1:9',
      TEAL_ACME_DIRECTORY: 'https://127.0.0.1:9/directory',
      TEAL_NOTIFIER_URL: 'http://127.0.0.1:9/notify',
      TEAL_LOG_LEVEL: 'silent',
      // This machine may be loaded by the other tests.
      TEAL_MAX_LOAD_1M: '100000',
      ...env,
    },
  }).settings;
}

export async function startTestRelay(
  env: Record<string, string> = {},
  overrides: Overrides = {},
): Promise<TestRelay> {
  const dir = await mkdtemp(join(tmpdir(), 'teal-relay-'));
  const settings = testSettings(dir, env);
  const relay = await createRelay(settings, overrides);
  const domain = relay.domain;
  return {
    ...relay,
    dir,
    settings,
    servers: (security = 'ssl') => ({
      imapPort: security === 'ssl' ? relay.ports.imaps_port : relay.ports.imap_port,
      smtpPort: security === 'ssl' ? relay.ports.submissions_port : relay.ports.submission_port,
      imapSecurity: security,
      smtpSecurity: security,
    }),
    loginLink: (local, password) =>
      loginLink({ address: `${local}@${domain}`, password }, '127.0.0.1', relay.ports),
    [Symbol.asyncDispose]: async () => {
      await relay[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
