import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createBrakes, machineReadings } from './accounts/brakes.ts';
import { createLogin } from './accounts/login.ts';
import type { Login } from './accounts/login.ts';
import { createNewAccounts } from './accounts/new-account.ts';
import { createRegistration } from './accounts/registration.ts';
import { createDkimCheck } from './authenticity/check.ts';
import { tealVersion } from './cli/version.ts';
import { day, minute, second } from './clock.ts';
import type { Clock, Random } from './clock.ts';
import { createSigner } from './dkim/signer.ts';
import { createAuthority } from './dns/authority.ts';
import { checkZone } from './dns/check.ts';
import { createDailyCheck } from './dns/daily.ts';
import { createResolver, ipv4Only } from './dns/resolver.ts';
import type { Resolver } from './dns/resolver.ts';
import { createValidatingLookup } from './dns/validating.ts';
import { createFilter } from './filter/filter.ts';
import type { tasks } from './heavy.ts';
import { createHealth } from './http/health.ts';
import { createHttp } from './http/http-listener.ts';
import { createHttps } from './http/https-listener.ts';
import { createMetricsListener } from './http/metrics.ts';
import { createReadings } from './http/readings.ts';
import { originOf } from './http/addresses.ts';
import type { Addresses } from './http/addresses.ts';
import { createIroh } from './http/iroh.ts';
import { createWeb } from './http/web.ts';
import type { WebParts } from './http/web.ts';
import { createImap } from './imap/listener.ts';
import { createAddressList } from './limits/address-list.ts';
import { createAdmission } from './limits/admission.ts';
import type { Admission } from './limits/admission.ts';
import { createByteBudget } from './limits/byte-budget.ts';
import { createRateLimit } from './limits/rate-limit.ts';
import { createSharedRateLimit } from './limits/shared-rate-limit.ts';
import {
  hostOf,
  listenedAddresses,
  namesOf,
  ownAddresses,
  portUnavailable,
  systemClock,
  systemRandom,
} from './machine.ts';
import { createBounce } from './mailflow/bounce.ts';
import { createReceive } from './mailflow/receive.ts';
import { localAddress } from './mailflow/recipients.ts';
import { createSubmit } from './mailflow/submit.ts';
import { createChanges } from './notify/changes.ts';
import { createPush } from './notify/push.ts';
import { createEvents } from './observe/events.ts';
import { createLog } from './observe/log.ts';
import type { Log } from './observe/log.ts';
import type { ConnectionKind } from './observe/metric-table.ts';
import type { SendOut } from './outbound/consignment.ts';
import type { Dialler } from './outbound/dialler.ts';
import { createOutbound } from './outbound/outbound.ts';
import { createQueue } from './queue/worker.ts';
import { addressDomain, kindOfMailDomain } from './settings/mail-domain.ts';
import type { Settings } from './settings/table.ts';
import { createInbound } from './smtp/inbound.ts';
import { createSubmission } from './smtp/submission.ts';
import { MOVING } from './store/contract.ts';
import type { Store } from './store/contract.ts';
import { openStore, placeOf } from './stores.ts';
import { isPublic } from './tls/certificate.ts';
import { openCertificate } from './tls/open.ts';
import { createPool } from './workers/pool.ts';
import { readZoneFacts } from './zone-facts.ts';

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

type MailPortKey = 'smtp_port' | 'submission_port' | 'submissions_port' | 'imap_port' | 'imaps_port';
type WebPortKey = 'http_port' | 'https_port' | 'health_port' | 'metrics_port';
/** Those of the web may be left closed. */
export type Ports = { readonly [key in MailPortKey]: number } & { readonly [key in WebPortKey]?: number };

/** What a test puts in the place of the world. */
export interface Overrides {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly resolver?: Resolver;
  readonly fetch?: typeof globalThis.fetch;
  readonly log?: Log;
  /** How mail leaves. */
  readonly sendOut?: SendOut;
  /** Where the ports of other relays really are. */
  readonly dialler?: Dialler;
  /** PEM: the roots of the ACME authority and of other relays' certificates. */
  readonly trustedCa?: string;
}

/** The data directory belongs to a relay of another domain: its addresses would be nobody's. */
export class WrongDomain extends Error {
  override name = 'WrongDomain';
}

/** `teal move` has begun to fill the store and has not come to its end. */
export class UnfinishedMove extends Error {
  override name = 'UnfinishedMove';
}

/** A key that is not there after this long is DNS trouble, and the sender tries again. */
const DNS_TIMEOUT = 10 * second;
/** Big messages that wait for a worker; each holds its bytes. */
const MAX_HEAVY_WAITING = 64;
/** 30 MB take a worker a quarter of a second. */
const MAX_HEAVY_TIME = minute;
/** Of the largest size, that are in memory at once, for senders, readers and strangers each; or thousands of usual ones. */
const MESSAGES_IN_MEMORY = 4;
/** Of these one account that sends, one peer on port 25, or one who reads, may have so many. */
const MESSAGES_OF_A_PEER = 2;
/** On 80 and 443 each; a request takes milliseconds, so this many are a flood already. */
const MAX_WEB_CONNECTIONS = 2000;
/** Apps in chats that are open on some device; each costs two sockets. */
const MAX_IROH_CONNECTIONS = 5000;
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
  // prom-client is loaded where somebody is to read it.
  const metrics =
    settings.metrics_port === undefined
      ? undefined
      : (await import('./observe/metrics.ts')).createMetrics(tealVersion());
  const events = createEvents(log, metrics?.meter);

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
  const dns = scope.use(
    createResolver({
      timeoutMs: DNS_TIMEOUT,
      ...(settings.dns_servers.length > 0 ? { servers: settings.dns_servers } : {}),
    }),
  );
  const supply = scope.use(
    await openCertificate({
      mailDomain,
      files: settings.tls_external_cert_and_key,
      selfSigned: { directory: join(settings.data_dir, 'tls'), names: namesOf(settings, mailDomain) },
      acme: {
        directoryUrl: settings.acme_directory,
        termsAgreed: settings.acme_terms_agreed,
        email: settings.acme_email === '' ? undefined : settings.acme_email,
        trustedCa: overrides.trustedCa,
        addressesOf: dns.addresses,
        ownAddresses,
      },
      values: store.values,
      clock,
      random,
      events,
    }),
  );
  const { certificate, challenges } = supply;

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
  const resolver = overrides.resolver ?? dns;
  const checkDkim = createDkimCheck({ resolver, pool, clock });
  const filter = createFilter(pool);

  // ---- who may -----------------------------------------------------------------------------------------------------
  const rules = {
    usernameMinLength: settings.username_min_length,
    usernameMaxLength: settings.username_max_length,
    passwordMinLength: settings.password_min_length,
  };
  const newAccountRate = (perHour: number) =>
    perHour === 0
      ? undefined
      : createRateLimit({ perMinute: perHour / 60, burst: perHour, maxKeys: MAX_RATE_LIMITED, clock });
  const { mayCreate, ...whoMay } = createRegistration({
    dataDir: settings.data_dir,
    mode: settings.registration,
    refuseAutomatic: settings.refuse_automatic_accounts,
    rate: newAccountRate(settings.max_new_accounts),
    ratePerNetwork: newAccountRate(settings.max_new_accounts_per_network),
    brakes: createBrakes(
      {
        maxLoad1m: settings.max_load_1m,
        minAvailableMemory: settings.min_available_memory,
        minFreeDiskSpace: settings.min_free_disk_space,
      },
      machineReadings(settings.data_dir),
    ),
  });
  const newAccounts = createNewAccounts({ store, clock, random, events, domain, rules, ...whoMay });
  const login = createLogin({
    store,
    clock,
    random,
    events,
    domain,
    rules,
    mayCreate,
    hashesInFlight: availableParallelism(),
  });
  // relay.md 1: one peer may hold a fifth of the connections.
  const admissions = new Map<ConnectionKind, Admission>();
  const admissionOf = (kind: ConnectionKind, max: number) => {
    const admission = createAdmission({ max, maxPerPeer: Math.max(1, Math.floor(max / 5)) });
    admissions.set(kind, admission);
    return admission;
  };
  // Strangers and slow readers must not be able to use up what those who send need, nor one of them what others need.
  const sharedBudget = () =>
    createByteBudget(
      MESSAGES_IN_MEMORY * settings.max_message_size,
      MESSAGES_OF_A_PEER * settings.max_message_size,
    );
  const budgetOfSenders = sharedBudget();
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
  const bounce = createBounce({ domain, store, clock, random, events });
  const receive = createReceive({ domain, store, filter, checkDkim, bounce, clock, events });
  const submit = createSubmit({ domain, store, filter, bounce, clock, events });
  const isLocal = (address: string) => localAddress(address, domain) !== undefined;
  const outbound = scope.use(
    createOutbound({
      helo: domain,
      resolver: { ...dns, ...(settings.disable_ipv6 ? ipv4Only(dns) : {}), ...overrides.resolver },
      lookup: createValidatingLookup({
        timeoutMs: DNS_TIMEOUT,
        clock,
        random,
        ...(settings.dns_servers.length > 0 ? { servers: settings.dns_servers } : {}),
      }),
      dialler: overrides.dialler ?? ((host, port) => ({ host, port })),
      ...(kindOfMailDomain(mailDomain) === 'ipv4'
        ? { from: { address: mailDomain, bound: ownAddresses().includes(mailDomain) } }
        : {}),
      trustedCa: overrides.trustedCa,
      unverifiedDomains: settings.tls_unverified_domains,
      mtaSts: settings.mta_sts,
      dane: settings.dane,
      clock,
      random,
      events,
    }),
  );
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

  const signer = createSigner({
    values: store.values,
    clock,
    pool,
    domain,
    selectors: { rsa: settings.dkim_selector_rsa, ed25519: settings.dkim_selector_ed25519 },
  });
  scope.use(
    createQueue({
      store,
      clock,
      random,
      onQueue: changes.onQueue,
      signer,
      send: overrides.sendOut ?? outbound.send,
      bounce,
      lifetime: settings.maximal_queue_lifetime * day,
      memory: MESSAGES_IN_MEMORY * settings.max_message_size,
      events,
    }),
  );

  const iroh =
    settings.iroh_upstream === undefined || settings.https_port === undefined
      ? undefined
      : scope.use(
          createIroh({
            upstream: new URL(settings.iroh_upstream),
            admission: admissionOf('iroh', MAX_IROH_CONNECTIONS),
            clock,
            events,
          }),
        );

  // ---- who listens: last, when all that they need is there ---------------------------------------------------------
  const host = hostOf(settings);
  const proxies = createAddressList(settings.proxy_protocol_from);
  const common = { host, proxies, certificate, byteBudget: budgetOfSenders, events, clock, random };
  const smtp = { ...common, domain, maxMessageSize: settings.max_message_size };
  const inbound = (port: number) =>
    createInbound({
      ...smtp,
      port,
      byteBudget: budgetOfStrangers,
      admission: admissionOf('smtp', settings.max_smtp_connections),
      take: receive,
      isLocal,
    });
  const submission = (mode: 'implicit' | 'starttls') => (port: number) =>
    createSubmission({
      ...smtp,
      mode,
      port,
      admission: admissionOf(
        mode === 'implicit' ? 'submissions' : 'submission',
        settings.max_smtp_connections,
      ),
      take: submit,
      login,
      rateLimits,
    });
  let https: { readonly port: number } | undefined;
  const addresses: Addresses = {
    host: mailDomain,
    isIpv4: kindOfMailDomain(mailDomain) === 'ipv4',
    certificateIsPublic: () => isPublic(certificate.pair),
    ports: () => ({ ...mailPorts, https_port: https?.port ?? 443 }),
  };
  const imapAdmission = admissionOf('imap', settings.max_imap_connections);
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
        irohRelay: () => settings.iroh_relay ?? (iroh && originOf(addresses)),
      },
    });
  const listeners: AsyncDisposable[] = [];
  // All at once: each may wait some seconds for messages under way, and none may begin new ones meanwhile.
  scope.defer(async () => {
    await Promise.all(listeners.map((listener) => listener[Symbol.asyncDispose]()));
  });
  const listen = async <L extends AsyncDisposable & { readonly port: number }>(
    key: keyof Ports,
    bind: (port: number) => Promise<L>,
    port = settings[key] ?? 0,
  ): Promise<L> => {
    const listener = await bind(port).catch((error: unknown) => {
      throw portUnavailable(key, port, key === 'metrics_port' ? settings.metrics_address : host, error);
    });
    listeners.push(listener);
    return listener;
  };
  const smtps = await listen('submissions_port', submission('implicit'));
  const imaps = await listen('imaps_port', imap('implicit'));
  const mailPorts = {
    smtp_port: (await listen('smtp_port', inbound)).port,
    submission_port: (await listen('submission_port', submission('starttls'))).port,
    submissions_port: smtps.port,
    imap_port: (await listen('imap_port', imap('starttls'))).port,
    imaps_port: imaps.port,
  };

  // ---- the web -----------------------------------------------------------------------------------------------------
  const webOptions = { host, proxies, events, clock };
  if (settings.https_port !== undefined) {
    const mxdeliv = {
      take: receive,
      isLocal,
      maxMessageSize: settings.max_message_size,
      byteBudget: budgetOfStrangers,
      admission: admissionOf('mxdeliv', settings.max_smtp_connections),
      events,
      clock,
      random,
    };
    const web = scope.use(
      await createWeb({ addresses, newAccounts, events, mxdeliv, iroh, ...siteOf(settings) }),
    );
    https = await listen('https_port', (port) =>
      createHttps({
        ...webOptions,
        port,
        certificate,
        web,
        imap: imaps,
        smtp: smtps,
        alpnChallenge: challenges.alpn,
        admission: admissionOf('https', MAX_WEB_CONNECTIONS),
      }),
    );
  }
  const http =
    settings.http_port === undefined
      ? undefined
      : await listen('http_port', (port) =>
          createHttp({
            ...webOptions,
            port,
            domain: mailDomain,
            names: new Set(['', 'www.', 'mta-sts.', 'autoconfig.'].map((prefix) => prefix + mailDomain)),
            httpsPort: https?.port,
            httpChallenge: challenges.http,
            admission: admissionOf('http', MAX_WEB_CONNECTIONS),
          }),
        );
  const health =
    settings.health_port === undefined
      ? undefined
      : await listen('health_port', (port) => createHealth({ port, ping: () => store.ping(), clock }));
  const scraped =
    metrics &&
    (await listen('metrics_port', (port) =>
      createMetricsListener({
        host: settings.metrics_address,
        port,
        metrics,
        read: createReadings({ store, supply, admissions, clock }),
        events,
      }),
    ));
  const ports: Ports = {
    ...mailPorts,
    ...(health && { health_port: health.port }),
    ...(scraped && { metrics_port: scraped.port }),
    ...(http && { http_port: http.port }),
    ...(https && { https_port: https.port }),
  };

  // Other names have no public zone.
  if (kindOfMailDomain(mailDomain) === 'name')
    scope.use(createDailyCheck({ check: zoneCheck(settings, store), clock, random, events }));
  supply.start();
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

/** The look at our zone that is taken once a day. */
function zoneCheck(settings: Settings, store: Store) {
  return async (signal: AbortSignal) => {
    const facts = await readZoneFacts(settings, store.values);
    if (facts === undefined) throw new TypeError('a bare address has no zone');
    using authority = createAuthority({ servers: settings.dns_servers, timeoutMs: DNS_TIMEOUT });
    const end = () => authority[Symbol.dispose]();
    signal.addEventListener('abort', end);
    return await checkZone({ authority, facts, ownAddresses: listenedAddresses(settings) });
  };
}

/** What the pages are made from. */
export function siteOf(settings: Settings): Pick<WebParts, 'wwwFolder' | 'facts'> {
  return {
    wwwFolder: settings.www_folder,
    facts: {
      maxMessageSize: settings.max_message_size,
      maxMailboxSize: settings.max_mailbox_size,
      notifierUrl: settings.notifier_url,
      privacyMail: settings.privacy_mail,
      privacyPostal: settings.privacy_postal,
      privacyPdo: settings.privacy_pdo,
      privacySupervisor: settings.privacy_supervisor,
    },
  };
}
