import { randomBytes } from 'node:crypto';
import { availableParallelism, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createBrakes, machineReadings } from './accounts/brakes.ts';
import { createLogin } from './accounts/login.ts';
import type { Login } from './accounts/login.ts';
import { createDkimCheck } from './authenticity/check.ts';
import { minute, second } from './clock.ts';
import type { Clock, Random } from './clock.ts';
import { createResolver } from './dns/resolver.ts';
import type { Resolver } from './dns/resolver.ts';
import { refuse } from './errors.ts';
import { createFilter } from './filter/filter.ts';
import type { tasks } from './heavy.ts';
import { createImap } from './imap/listener.ts';
import { createAdmission } from './limits/admission.ts';
import { createByteBudget } from './limits/byte-budget.ts';
import { createRateLimit } from './limits/rate-limit.ts';
import { createSharedRateLimit } from './limits/shared-rate-limit.ts';
import { createReceive } from './mailflow/receive.ts';
import { localAddress } from './mailflow/recipients.ts';
import { createSubmit } from './mailflow/submit.ts';
import { createChanges } from './notify/changes.ts';
import { createPush } from './notify/push.ts';
import { createEvents } from './observe/events.ts';
import type { Events } from './observe/events.ts';
import { createLog } from './observe/log.ts';
import type { Log } from './observe/log.ts';
import { addressDomain, kindOfMailDomain } from './settings/mail-domain.ts';
import type { Settings } from './settings/table.ts';
import { createInbound } from './smtp/inbound.ts';
import { createSubmission } from './smtp/submission.ts';
import { MOVING } from './store/contract.ts';
import type { Store } from './store/contract.ts';
import { openStore, placeOf } from './stores.ts';
import { createCertificate } from './tls/certificate.ts';
import type { KeyPair } from './tls/certificate.ts';
import { readKeyPair } from './tls/files.ts';
import { keepSelfSigned } from './tls/self-signed.ts';
import { createPool } from './workers/pool.ts';

/** A running relay; disposing of it is the shutdown: listeners first, the store last. */
export interface Relay extends AsyncDisposable {
  /** What stands behind the @ of its addresses. */
  readonly domain: string;
  /** The ports bound, by the key of their setting. */
  readonly ports: Ports;
  /** Checks a login, and makes the account of a new name. */
  readonly login: Login;
  /** For those who run the relay: tests, and commands that act on its data. */
  readonly store: Store;
  /** Says in the log that it serves. */
  ready(): void;
}

type PortKey = 'smtp_port' | 'submission_port' | 'submissions_port' | 'imap_port' | 'imaps_port';
export type Ports = { readonly [key in PortKey]: number };

/** What a test puts in the place of the world. */
export interface Overrides {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly resolver?: Resolver;
  readonly fetch?: typeof globalThis.fetch;
  readonly log?: Log;
}

/** The data directory belongs to a relay of another domain: its addresses would be nobody's. */
export class WrongDomain extends Error {
  override name = 'WrongDomain';
}

/** `teal move` has begun to fill the store and has not come to its end. */
export class UnfinishedMove extends Error {
  override name = 'UnfinishedMove';
}

/** A port cannot be bound; the message names its setting and says what to do. */
export class PortUnavailable extends Error {
  override name = 'PortUnavailable';
}

/** A delay that node keeps in 32 bits; the longest waits of ours are hours. */
const MAX_DELAY = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, Math.min(ms, MAX_DELAY)).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = (bytes) => randomBytes(bytes);

/** A key that is not there after this long is DNS trouble, and the sender tries again. */
const DNS_TIMEOUT = 10 * second;
/** Big messages that wait for a worker; each holds its bytes. */
const MAX_HEAVY_WAITING = 64;
/** 30 MB take a worker a quarter of a second. */
const MAX_HEAVY_TIME = minute;
/** Of the largest size, that are in memory at once, for senders, readers and strangers each; or thousands of usual ones. */
const MESSAGES_IN_MEMORY = 4;
/** Of these one peer on port 25, or one who reads, may have so many. */
const MESSAGES_OF_A_PEER = 2;
/** Accounts whose sending is remembered for the rate limits. */
const MAX_RATE_LIMITED = 100_000;

/** Builds every part by hand, in order. Rejects, with all that it had begun undone, when one of them cannot be had. */
export async function createRelay(settings: Settings, overrides: Overrides = {}): Promise<Relay> {
  await using scope = new AsyncDisposableStack();
  const mailDomain = settings.mail_domain;
  if (mailDomain === undefined) throw new TypeError('mail_domain must be set');
  const domain = addressDomain(mailDomain);
  const clock = overrides.clock ?? systemClock;
  const random = overrides.random ?? systemRandom;
  const log = overrides.log ?? createLog(settings.log_level);
  const events = createEvents(log);

  // ---- what is kept ----------------------------------------------------------------------------------------------
  const changes = createChanges({ events });
  const store = scope.use(
    await openStore(settings, { clock, random, onChange: changes.publish, onFault: events.fault }),
  );
  const movedFrom = await store.values.get(MOVING);
  if (movedFrom !== undefined) {
    throw new UnfinishedMove(
      `the store is being filled from ${movedFrom}: let teal move go on to its end first`,
    );
  }
  const domainOfStore = await store.values.setOnce('domain', domain);
  if (domainOfStore !== domain) {
    throw new WrongDomain(
      `${placeOf(settings)} holds the relay of ${domainOfStore}, and mail_domain is ${mailDomain}: ` +
        'set mail_domain back, or choose another place for the data',
    );
  }
  const certificate = createCertificate(await keyPairOf(settings, mailDomain, clock, events));

  // ---- who judges ------------------------------------------------------------------------------------------------
  const pool = scope.use(
    createPool<typeof tasks>({
      module: new URL('./heavy.ts', import.meta.url),
      // Two at least: a message made to keep one busy for its minute must not hold up all others.
      size: Math.max(2, availableParallelism() - 1),
      maxQueued: MAX_HEAVY_WAITING,
      taskTimeoutMs: MAX_HEAVY_TIME,
      clock,
    }),
  );
  // One worker of their own: who reads big messages holds up neither who sends nor who receives.
  const fetchPool = scope.use(
    createPool<typeof tasks>({
      module: new URL('./heavy.ts', import.meta.url),
      size: 1,
      maxQueued: MAX_HEAVY_WAITING,
      taskTimeoutMs: MAX_HEAVY_TIME,
      clock,
    }),
  );
  const resolver =
    overrides.resolver ??
    scope.use(
      createResolver({
        timeoutMs: DNS_TIMEOUT,
        ...(settings.dns_servers.length > 0 ? { servers: settings.dns_servers } : {}),
      }),
    );
  const checkDkim = createDkimCheck({ resolver, pool, clock });
  const filter = createFilter(pool);

  // ---- who may -----------------------------------------------------------------------------------------------------
  const login = createLogin({
    store,
    clock,
    random,
    events,
    domain,
    rules: {
      usernameMinLength: settings.username_min_length,
      usernameMaxLength: settings.username_max_length,
      passwordMinLength: settings.password_min_length,
    },
    mayCreate: createBrakes(
      {
        maxLoad1m: settings.max_load_1m,
        minAvailableMemory: settings.min_available_memory,
        minFreeDiskSpace: settings.min_free_disk_space,
      },
      machineReadings(settings.data_dir),
    ),
    hashesInFlight: availableParallelism(),
  });
  // relay.md 1: one peer may hold a fifth of the connections.
  const admissionOf = (max: number) => createAdmission({ max, maxPerPeer: Math.max(1, Math.floor(max / 5)) });
  // Strangers and slow readers must not be able to use up what those who send need, nor one of them what others need.
  const budgetOfSenders = createByteBudget(MESSAGES_IN_MEMORY * settings.max_message_size);
  const sharedBudget = () =>
    createByteBudget(
      MESSAGES_IN_MEMORY * settings.max_message_size,
      MESSAGES_OF_A_PEER * settings.max_message_size,
    );
  const budgetOfStrangers = sharedBudget();
  const budgetOfReaders = sharedBudget();
  const rateLimit = (name: string, rate: { readonly perMinute: number; readonly burst: number }) => {
    const local = { ...rate, maxKeys: MAX_RATE_LIMITED, clock };
    return store.meter
      ? createSharedRateLimit({ ...local, name, meter: store.meter })
      : createRateLimit(local);
  };
  const rateLimits = {
    messages: rateLimit('messages', {
      perMinute: settings.max_user_send_per_minute,
      burst: settings.max_user_send_burst_size,
    }),
    recipients: rateLimit('recipients', {
      perMinute: settings.max_user_recipients_per_hour / 60,
      burst: settings.max_user_recipients_per_hour,
    }),
  };

  // ---- the two walks -----------------------------------------------------------------------------------------------
  const receive = createReceive({ domain, store, filter, checkDkim, clock, events });
  const submit = createSubmit({ domain, store, filter, clock, events });
  const isLocal = (address: string) => localAddress(address, domain) !== undefined;
  scope.use(
    createPush({
      store,
      clock,
      changes,
      url: settings.notifier_url,
      fetch: overrides.fetch ?? globalThis.fetch,
      events,
    }),
  );

  // ---- who listens: last, when all that they need is there ---------------------------------------------------------
  const host = hostOf(settings);
  const common = { host, certificate, byteBudget: budgetOfSenders, events, clock, random };
  const smtp = { ...common, domain: mailDomain, maxMessageSize: settings.max_message_size };
  const inbound = (port: number) =>
    createInbound({
      ...smtp,
      port,
      byteBudget: budgetOfStrangers,
      admission: admissionOf(settings.max_smtp_connections),
      take: receive,
      isLocal,
    });
  const submission = (mode: 'implicit' | 'starttls') => (port: number) =>
    createSubmission({
      ...smtp,
      mode,
      port,
      admission: admissionOf(settings.max_smtp_connections),
      take: submit,
      login,
      mayDeliverTo: (address) =>
        isLocal(address) ? undefined : refuse('not_local', 'recipient elsewhere', { recipient: address }),
      rateLimits,
    });
  const imapAdmission = admissionOf(settings.max_imap_connections);
  const imap = (mode: 'implicit' | 'starttls') => (port: number) =>
    createImap({
      ...common,
      mode,
      port,
      admission: imapAdmission,
      store,
      login,
      changes,
      byteBudget: budgetOfReaders,
      pool: fetchPool,
      options: {
        maxMessageSize: settings.max_message_size,
        compress: settings.imap_compress,
        ...(settings.privacy_mail ? { adminUri: `mailto:${settings.privacy_mail}` } : {}),
      },
    });
  const listeners: AsyncDisposable[] = [];
  // All at once: each may wait some seconds for messages under way, and none may begin new ones meanwhile.
  scope.defer(async () => {
    await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()));
  });
  const listen = async (
    key: PortKey,
    bind: (port: number) => Promise<AsyncDisposable & { port: number }>,
  ) => {
    const listener = await bind(settings[key]).catch((error: unknown) => {
      throw portUnavailable(key, settings[key], host, error);
    });
    listeners.push(listener);
    return listener.port;
  };
  const ports: Ports = {
    smtp_port: await listen('smtp_port', inbound),
    submission_port: await listen('submission_port', submission('starttls')),
    submissions_port: await listen('submissions_port', submission('implicit')),
    imap_port: await listen('imap_port', imap('starttls')),
    imaps_port: await listen('imaps_port', imap('implicit')),
  };

  const running = scope.move();
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    events.stopping();
    await running.disposeAsync();
    events.stopped();
  };
  return {
    domain,
    ports,
    login,
    store,
    ready: () => events.ready(domain, ports),
    [Symbol.asyncDispose]: () => (stopped ??= stop()),
  };
}

function portUnavailable(key: PortKey, port: number, host: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') return new PortUnavailable(`port ${port} (${key}) is taken by another program`);
  if (code === 'EACCES') {
    return new PortUnavailable(
      `port ${port} (${key}) may not be bound by this user: run as one who may, or give node CAP_NET_BIND_SERVICE`,
    );
  }
  if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') {
    return new PortUnavailable(`listen_address ${host} is not an address of this machine`);
  }
  return error;
}

/** The operator's own certificate, or one we sign ourselves and keep. */
async function keyPairOf(
  settings: Settings,
  mailDomain: string,
  clock: Clock,
  events: Events,
): Promise<KeyPair> {
  const files = settings.tls_external_cert_and_key;
  if (files) {
    const checks = { now: clock.now(), names: [mailDomain], warn: events.certificateDoubtful };
    return readKeyPair(files.cert, files.key, checks);
  }
  // client.md 1.8: what no authority vouches for is taken for the other kinds alone.
  if (kindOfMailDomain(mailDomain) === 'name') {
    events.certificateDoubtful(
      `without tls_external_cert_and_key it is self-signed, and clients refuse that for ${mailDomain}`,
    );
  }
  return keepSelfSigned({
    directory: join(settings.data_dir, 'tls'),
    names: namesOf(settings, mailDomain),
    clock,
  });
}

/** What clients may call us: a relay that is tried out is reached by its address, too. */
function namesOf({ listen_address }: Settings, mailDomain: string): string[] {
  return [mailDomain, 'localhost', '127.0.0.1', ...(listen_address === undefined ? [] : [listen_address])];
}

/** listen_address, or every address there is: `::` takes IPv4 too, but not where the machine has no IPv6. */
function hostOf({ listen_address, disable_ipv6 }: Settings): string {
  if (listen_address !== undefined) return listen_address;
  const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ family }) => family === 'IPv6'),
  );
  return hasIpv6 && !disable_ipv6 ? '::' : '0.0.0.0';
}
