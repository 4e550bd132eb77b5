import { createHash, X509Certificate } from 'node:crypto';
import type { ConnectionOptions, DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { TlsaRecord } from '../dns/question.ts';
import type { ValidatingLookup } from '../dns/validating.ts';
import type { Events } from '../observe/events.ts';
import { createLearned } from './learned.ts';
import type { FindOut, Finding } from './learned.ts';
import { Stopped, trouble } from './problem.ts';
import { TlsRefused } from './smtp-client.ts';
import type { SmtpTls } from './smtp-client.ts';
import type { TlsPolicy } from './tls-policy.ts';
import { MAX_CHAIN, mismatch, usableRecords } from './tlsa.ts';

/** `off`: nobody is asked. `report`: a certificate that does not fit is an event. `enforce`: such a host gets no mail. */
export type DaneMode = 'off' | 'report' | 'enforce';

export interface DaneParts {
  readonly mode: DaneMode;
  readonly lookup: ValidatingLookup;
  /** Destinations whose certificates are not verified have no DANE either. */
  readonly tlsFor: TlsPolicy;
  readonly clock: Clock;
  readonly events: Pick<Events, 'daneMismatch'>;
  /** Aborted when the relay is being stopped. */
  readonly closing: AbortSignal;
}

/**
 * DANE for SMTP (RFC 7672): a zone that is signed tells which certificates its mail servers have. Only what the resolver
 * has checked counts, of the MX records as well (RFC 7672 2.2.1). Nothing is waited for the first time: records are asked
 * for beside, and count from the next time on.
 */
export interface Dane {
  /** Learns about the hosts of a destination, beside. */
  look(destination: string, hosts: readonly string[]): void;
  /**
   * What is demanded of a host; undefined where nothing is. Rejects with Stopped, for now and to try the next host, in
   * `enforce` where DNS fails on it, which can be an attack (RFC 7672 2.1.2).
   */
  demand(destination: string, host: string): Promise<Demand | undefined>;
}

export interface Demand {
  /** The records speak of port 25, so 443 is not as good (in `enforce`). */
  readonly only25: boolean;
  /** A connection that was opened under another one has not been looked at like this. */
  readonly key: string;
  /** TLS on port 25, made of what is demanded without DANE. */
  handshake(tls: ConnectionOptions): SmtpTls;
}

/** Which certificates a host may have. */
interface HostRecords {
  /** RFC 7672 2.2.2: the host, or the name behind its alias. */
  readonly base: string;
  /** Those that can be used; none: there is no DANE. */
  readonly records: readonly TlsaRecord[];
}

export function createDane({ mode, lookup, tlsFor, clock, events, closing }: DaneParts): Dane {
  /** Whether the resolver has checked the MX records, or that there are none. */
  const exchanges = createLearned<boolean>(
    async (domain, signal) => {
      const { authentic, ttl } = await lookup.ask(domain, 'MX', signal);
      return { value: authentic, ttl };
    },
    clock,
    closing,
  );
  const hostRecords = createLearned(recordsOf(lookup), clock, closing);

  const applies = (destination: string, host: string) =>
    mode !== 'off' && tlsFor(destination, host).rejectUnauthorized !== false;

  /** Undefined: not known yet, so it is as if there were none. */
  const valueOf = async <Value>(
    learned: { ask(key: string): Promise<Finding<Value> | undefined> },
    looked: Finding<Value> | undefined,
    key: string,
    host: string,
  ): Promise<Value | undefined> => {
    if (looked?.kind !== 'failed' || mode !== 'enforce')
      return looked?.kind === 'known' ? looked.value : undefined;
    // There would be no mail now: what else is there to do than to ask once more and wait?
    const again = (await learned.ask(key)) ?? looked;
    if (again.kind === 'known') return again.value;
    const text = `DNS does not say whether ${host} has DANE records: ${again.reason}`;
    throw new Stopped('deferred', trouble('4.7.5', text, host), true);
  };

  const demandOf = (destination: string, host: string, looked: HostRecords): Demand => {
    /** Undefined where it fits. */
    const misfit = (socket: TLSSocket, { base, records }: HostRecords): string | undefined => {
      const names = [...new Set([base, host, destination])];
      const why = mismatch(records, { chain: chainOf(socket), names, now: clock.now() });
      if (why !== undefined) events.daneMismatch(destination, host, why);
      return why;
    };
    return {
      only25: mode === 'enforce',
      key: fingerprint(looked),
      handshake(tls) {
        if (mode !== 'enforce') return { ...tls, judge: (socket) => void misfit(socket, looked) };
        // Node's own checks are for others to fail: where the records fit, nothing else is asked for.
        return {
          ...tls,
          rejectUnauthorized: false,
          servername: looked.base,
          judge(socket) {
            // What was old when we began may have been answered anew meanwhile.
            const latest = hostRecords.look(host);
            const now = latest?.kind === 'known' ? latest.value : looked;
            if (now.records.length === 0) {
              if (!socket.authorized)
                throw new TlsRefused(`its certificate is not valid: ${String(socket.authorizationError)}`);
              return;
            }
            const why = misfit(socket, now);
            if (why !== undefined)
              throw new TlsRefused(`its certificate does not fit its DANE records: ${why}`);
          },
        };
      },
    };
  };

  return {
    look(destination, hosts) {
      const [first] = hosts;
      if (first === undefined || !applies(destination, first)) return;
      const lookAtHosts = () => {
        for (const host of hosts) hostRecords.look(host);
      };
      const isChecked = exchanges.look(destination);
      if (isChecked?.kind === 'known') {
        if (isChecked.value) lookAtHosts();
        return;
      }
      // Both at the first sight, so that the second message finds all of it.
      void exchanges
        .ask(destination)
        .then((found) => found?.kind === 'known' && found.value && lookAtHosts());
    },

    async demand(destination, host) {
      if (!applies(destination, host)) return undefined;
      const isChecked = await valueOf(exchanges, exchanges.look(destination), destination, host);
      if (!isChecked) return undefined;
      const found = await valueOf(hostRecords, hostRecords.look(host), host, host);
      return found && found.records.length > 0 ? demandOf(destination, host, found) : undefined;
    },
  };
}

/** RFC 7672 2.2.2. A name whose addresses are not checked is not asked for records: servers of old zones may fail on it. */
function recordsOf(lookup: ValidatingLookup): FindOut<HostRecords> {
  return async (host, signal) => {
    const addresses = await lookup.ask(host, 'A', signal);
    const ttls = [addresses.ttl];
    const ttl = () => {
      const told = ttls.filter((each) => each !== undefined);
      return told.length === 0 ? undefined : Math.min(...told);
    };
    const bases = new Set(addresses.authentic ? [addresses.name, host] : []);
    // An alias that leads out of the signed zone, but stands in it.
    if (!addresses.authentic && addresses.name !== host) {
      if ((await lookup.ask(host, 'CNAME', signal)).authentic) bases.add(host);
    }
    for (const base of bases) {
      const found = await lookup.ask(`_25._tcp.${base}`, 'TLSA', signal);
      ttls.push(found.ttl);
      if (found.authentic && found.exists)
        return { value: { base, records: usableRecords(found.tlsa).map(hashed) }, ttl: ttl() };
    }
    return { value: { base: host, records: [] }, ttl: ttl() };
  };
}

/** What is kept of a record has 64 bytes at most: whole certificates are kept as their digests. */
function hashed(record: TlsaRecord): TlsaRecord {
  if (record.matchingType !== 0) return record;
  return { ...record, matchingType: 1, data: createHash('sha256').update(record.data).digest() };
}

function fingerprint({ base, records }: HostRecords): string {
  const lines = records.map(({ usage, selector, matchingType, data }) =>
    [usage, selector, matchingType, data.toString('hex')].join(' '),
  );
  return createHash('sha256')
    .update([base, ...lines.sort()].join('\n'))
    .digest('base64');
}

/** The certificates that the server showed, its own first. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // A certificate that issued itself is its own issuer here.
  for (
    let last: unknown;
    next?.raw && next !== last && chain.length < MAX_CHAIN;
    next = next.issuerCertificate
  ) {
    chain.push(new X509Certificate(next.raw));
    last = next;
  }
  return chain;
}
