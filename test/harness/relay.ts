import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRelay } from '../../src/relay.ts';
import type { Overrides, Relay } from '../../src/relay.ts';
import { loadSettings } from '../../src/settings/load.ts';
import type { Settings } from '../../src/settings/table.ts';
import { loginLink } from '../../src/trial/memory.ts';
import type { Servers } from './delta-chat.ts';
import { createProxyFor } from './tcp-proxy.ts';

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

/** On loopback, mail at ports that the system picks. */
export const anyMailPorts = {
  TEAL_LISTEN_ADDRESS: '127.0.0.1',
  TEAL_SMTP_PORT: '0',
  TEAL_SUBMISSION_PORT: '0',
  TEAL_SUBMISSIONS_PORT: '0',
  TEAL_IMAP_PORT: '0',
  TEAL_IMAPS_PORT: '0',
} as const;

/** Settings for a relay on loopback, with `env` (TEAL_…) on top. */
export function testSettings(dir: string, env: Record<string, string> = {}): Settings {
  return loadSettings({
    configPath: undefined,
    cwd: dir,
    env: {
      MAIL_DOMAIN: testDomain,
      TEAL_DATA_DIR: join(dir, 'data'),
      ...anyMailPorts,
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

/** An empty database for relays on WildDuck, and the settings that lead there through proxies. */
export interface TestCluster extends AsyncDisposable {
  readonly env: Record<string, string>;
  /** As if the servers had died, or one of them alone. */
  stop(which?: 'mongodb' | 'redis'): Promise<void>;
  /** They are back. */
  resume(): Promise<void>;
}

/** Disposing of it drops the database. */
export async function openTestCluster(): Promise<TestCluster> {
  await using begun = new AsyncDisposableStack();
  // Loaded when it is used: WildDuck brings along what it needs, and WildDuck need not be here.
  const { openTestDatabase } = await import('./test-database.ts');
  const { mongodbUrl, redisUrl, name } = begun.use(await openTestDatabase());
  const [mongodb, redis] = [await createProxyFor(mongodbUrl), await createProxyFor(redisUrl)];
  const proxies = { mongodb: begun.use(mongodb.proxy), redis: begun.use(redis.proxy) };
  const all = begun.move();
  return {
    env: {
      TEAL_STORE: 'wildduck',
      TEAL_MONGODB_URL: mongodb.url,
      TEAL_REDIS_URL: redis.url,
      TEAL_MONGODB_DATABASE: name,
    },
    stop: async (which) => {
      const stopped = which ? [proxies[which]] : Object.values(proxies);
      await Promise.all(stopped.map((proxy) => proxy.stop()));
    },
    resume: async () => void (await Promise.all(Object.values(proxies).map((proxy) => proxy.resume()))),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** With TEAL_STORE=wildduck it has a database of its own, which goes with it. */
export async function startTestRelay(
  env: Record<string, string> = {},
  overrides: Overrides = {},
): Promise<TestRelay> {
  await using begun = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'teal-relay-'));
  begun.defer(() => rm(dir, { recursive: true, force: true }));
  const cluster =
    env['TEAL_STORE'] === 'wildduck' && env['TEAL_MONGODB_URL'] === undefined
      ? begun.use(await openTestCluster())
      : undefined;
  const settings = testSettings(dir, { ...cluster?.env, ...env });
  const relay = begun.use(await createRelay(settings, overrides));
  const all = begun.move();
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
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
