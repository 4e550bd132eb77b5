import { request } from 'node:http';
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { hour, minute, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Resolver } from '../dns/resolver.ts';
import type { Events } from '../observe/events.ts';
import { deadline } from './deadline.ts';
import type { Dial } from './dialler.ts';
import { Stopped, trouble } from './problem.ts';
import type { TlsPolicy } from './tls-policy.ts';

/** `off`: no policy is asked for. `report`: one that is not met is an event. `enforce`: hosts outside of it get no mail. */
export type MtaStsMode = 'off' | 'report' | 'enforce';

/** RFC 8461 3.2. */
export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** In lower case; `*.` at the beginning stands for one label. */
  readonly mx: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
}

export interface MtaStsParts {
  readonly mode: MtaStsMode;
  readonly resolver: Pick<Resolver, 'txt'>;
  readonly dial: Dial;
  readonly tlsFor: TlsPolicy;
  readonly clock: Clock;
  readonly events: Pick<Events, 'mtaStsMismatch'>;
}

export interface MtaSts {
  /**
   * The hosts of `hosts` that the policy of the destination allows. A policy that is not known yet is fetched beside, and
   * counts from the next time on: mail is not held up for it. Throws Stopped, for now, where none is allowed.
   */
  filter(destination: string, hosts: readonly string[], closing: AbortSignal): readonly string[];
}

/** RFC 8461 3.3 lets us bound both; policies have a few hundred bytes. */
export const MAX_POLICY = 64 * 1024;
export const FETCH_TIME = 30 * second;
/** RFC 8461 3.2: a year at most. */
export const MAX_AGE = 31_557_600;
/** Where there is none, or it cannot be had, it is looked for again after this. */
const LOOK_AGAIN = hour;
/** A policy that is known is fetched anew this often (RFC 8461 5.1 advises once a day). */
const REFRESH = 24 * hour;
/** At a mismatch it may have changed meanwhile (RFC 8461 5.1); it is not asked for more often than this. */
const MISMATCH_REFRESH = 5 * minute;
/** Destinations remembered, and fetches at once. */
const MAX_KNOWN = 10_000;
const MAX_FETCHES = 16;

interface Known {
  readonly policy: StsPolicy | undefined;
  /** When it no longer counts, and when it is to be fetched anew. */
  readonly until: number;
  readonly refreshAt: number;
  readonly askedAt: number;
}

export function createMtaSts({ mode, resolver, dial, tlsFor, clock, events }: MtaStsParts): MtaSts {
  const known = new Map<string, Known>();
  const fetching = new Set<string>();

  const refresh = (domain: string, closing: AbortSignal) => {
    if (fetching.has(domain) || fetching.size >= MAX_FETCHES || closing.aborted) return;
    fetching.add(domain);
    void fetchPolicy(domain, closing)
      .catch(() => undefined)
      .then((policy) => {
        fetching.delete(domain);
        const now = clock.now();
        const before = known.get(domain);
        // RFC 8461 3.3: what was fetched counts for its whole life, also when it cannot be fetched again.
        if (!policy && before?.policy && now < before.until)
          return void known.set(domain, { ...before, refreshAt: now + LOOK_AGAIN, askedAt: now });
        const life = policy ? policy.maxAge * second : LOOK_AGAIN;
        known.delete(domain);
        known.set(domain, {
          policy,
          until: now + life,
          refreshAt: now + Math.min(life, policy ? REFRESH : LOOK_AGAIN),
          askedAt: now,
        });
        const [oldest] = known.keys();
        if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest);
      });
  };

  const fetchPolicy = async (domain: string, closing: AbortSignal): Promise<StsPolicy | undefined> => {
    const records = (await resolver.txt(`_mta-sts.${domain}`)).map((strings) => strings.join(''));
    // RFC 8461 3.1: exactly one, else there is no policy.
    if (records.filter((record) => /^v=STSv1\s*;/.test(record)).length !== 1) return undefined;
    const host = `mta-sts.${domain}`;
    using time = deadline(clock, FETCH_TIME, 'the policy', closing);
    const raw = await dial(host, 443, time.signal);
    raw.on('error', () => raw.destroy());
    const socket = connectTls({ ...tlsFor(domain, host), socket: raw, ALPNProtocols: ['http/1.1'] });
    try {
      await once(socket, 'secureConnect', { signal: time.signal });
      const sent = request({
        host,
        port: 443,
        // So that it is not in the Host field.
        defaultPort: 443,
        path: '/.well-known/mta-sts.txt',
        signal: time.signal,
        createConnection: () => socket,
      });
      sent.end();
      const [answer] = (await once(sent, 'response', { signal: time.signal })) as [
        AsyncIterable<Buffer> & { statusCode?: number },
      ];
      // RFC 8461 3.3: a redirect is not followed.
      if (answer.statusCode !== 200) return undefined;
      let text = '';
      for await (const chunk of answer) {
        text += chunk.toString('latin1');
        if (text.length > MAX_POLICY) return undefined;
      }
      return parsePolicy(text);
    } finally {
      socket.destroy();
      raw.destroy();
    }
  };

  return {
    filter(destination, hosts, closing) {
      if (mode === 'off' || destination.startsWith('[') || destination.startsWith('_')) return hosts;
      const now = clock.now();
      const found = known.get(destination);
      if (!found || now >= found.refreshAt) refresh(destination, closing);
      if (!found?.policy || now >= found.until) return hosts;
      const { policy, askedAt } = found;
      if (policy.mode === 'none') return hosts;
      const allowed = hosts.filter((host) => matchesPolicy(policy, host));
      if (allowed.length === hosts.length) return hosts;
      if (now >= askedAt + MISMATCH_REFRESH) refresh(destination, closing);
      events.mtaStsMismatch(
        destination,
        hosts.filter((host) => !allowed.includes(host)),
      );
      if (mode !== 'enforce' || policy.mode !== 'enforce') return hosts;
      if (allowed.length > 0) return allowed;
      throw new Stopped(
        'deferred',
        trouble('4.7.5', `no MX host of ${destination} is in its MTA-STS policy (RFC 8461)`),
      );
    },
  };
}

/** Reads a policy (RFC 8461 3.2); undefined where it is none. */
export function parsePolicy(text: string): StsPolicy | undefined {
  const pairs = text
    .split(/\r?\n/)
    .map((line) => /^([A-Za-z0-9_.-]{1,32})[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line))
    .filter((match) => match !== null)
    .map(([, key = '', value = '']) => [key, value] as const);
  const first = (key: string) => pairs.find(([name]) => name === key)?.[1];
  const mode = first('mode');
  const maxAge = Number(first('max_age') ?? NaN);
  if (first('version') !== 'STSv1' || !Number.isInteger(maxAge) || maxAge < 0) return undefined;
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none') return undefined;
  const mx = pairs.filter(([name]) => name === 'mx').map(([, value]) => value.toLowerCase());
  if (mode !== 'none' && mx.length === 0) return undefined;
  return { mode, mx, maxAge: Math.min(maxAge, MAX_AGE) };
}

/** RFC 8461 4.1: the wildcard stands for the leftmost label alone. */
export function matchesPolicy({ mx }: StsPolicy, host: string): boolean {
  return mx.some((pattern) =>
    pattern.startsWith('*.')
      ? host.slice(host.indexOf('.') + 1) === pattern.slice(2) && host.includes('.')
      : host === pattern,
  );
}
