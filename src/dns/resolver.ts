import { isIPv4 } from 'node:net';
import { Resolver as SystemResolver } from 'node:dns/promises';

/** The name does not exist or has no such record: DNS answered, and the answer is no. Asking again will not help. */
export class DnsMissing extends Error {
  override readonly name = 'DnsMissing';
  /** Whether the name itself does not exist (NXDOMAIN), for whatever type of record. */
  get noSuchName(): boolean {
    const { cause } = this;
    return (
      cause instanceof Error && 'code' in cause && (cause.code === 'ENOTFOUND' || cause.code === 'EBADNAME')
    );
  }
}

/** DNS did not answer, or not usably (timeout, SERVFAIL, REFUSED …): it may tomorrow. */
export class DnsTrouble extends Error {
  override readonly name = 'DnsTrouble';
}

/** The questions Teal asks of DNS. Every method rejects with DnsMissing or DnsTrouble, and with nothing else. */
export interface Resolver {
  /** The TXT records of `name`, each as the strings it is made of; at least one record. */
  txt(name: string): Promise<readonly string[][]>;
}

/** As above. */
export interface MxResolver {
  /** The MX records of `name`, in no order; at least one. A null MX (RFC 7505) has the exchange ''. */
  mx(name: string): Promise<readonly MailExchange[]>;
}

export interface MailExchange {
  readonly exchange: string;
  readonly preference: number;
}

/** As above. */
export interface AddressResolver {
  /** The IPv4 and IPv6 addresses of `name`, behind CNAMEs as well; at least one, and all or none. */
  readonly addresses: (name: string) => Promise<readonly string[]>;
}

export interface ResolverOptions {
  /** `address` or `address:port` (IPv6 in brackets before a port): when given, nobody else is asked. */
  readonly servers?: readonly string[];
  /** Milliseconds until a question that nobody answers is DnsTrouble, over all servers and tries. */
  readonly timeoutMs: number;
}

/** Each server is asked twice: UDP packets get lost. */
const TRIES = 2;

/** c-ares waits twice as long in the second round, so that a server gets 1 + 2 times the first wait. */
const WAITS_PER_SERVER = 3;

/** What an authoritative "no" is called (node:dns); EBADNAME: no server could know a name that is none. */
const missing = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);

/**
 * Asks `servers`, or those of the system. Nothing is kept: each call is a question. Throws where a server is not an
 * address. Disposing of it ends the questions under way, as trouble: an open one would keep the process alive.
 */
export function createResolver({
  servers,
  timeoutMs,
}: ResolverOptions): Resolver & AddressResolver & MxResolver & Disposable {
  const known = servers ?? new SystemResolver().getServers();
  const wait = Math.max(1, Math.floor(timeoutMs / (WAITS_PER_SERVER * Math.max(1, known.length))));
  const system = new SystemResolver({
    timeout: wait,
    maxTimeout: (WAITS_PER_SERVER - 1) * wait,
    tries: TRIES,
  });
  if (servers !== undefined) system.setServers(servers);

  return {
    async txt(name) {
      const records = await system.resolveTxt(name).catch((error: unknown) => {
        throw explain(`${name} TXT`, error);
      });
      if (records.length === 0) throw new DnsMissing(`${name} TXT: no record`);
      return records;
    },
    async mx(name) {
      const records = await system.resolveMx(name).catch((error: unknown) => {
        throw explain(`${name} MX`, error);
      });
      if (records.length === 0) throw new DnsMissing(`${name} MX: no record`);
      return records.map(({ exchange, priority }) => ({
        exchange: exchange.replace(/\.$/, '').toLowerCase(),
        preference: priority,
      }));
    },
    [Symbol.dispose]: () => system.cancel(),
    async addresses(name) {
      const ask = (type: 'A' | 'AAAA', question: Promise<string[]>) =>
        question.catch((error: unknown): string[] => {
          const reason = explain(`${name} ${type}`, error);
          if (reason instanceof DnsMissing) return [];
          throw reason;
        });
      const found = await Promise.all([ask('A', system.resolve4(name)), ask('AAAA', system.resolve6(name))]);
      if (found.every(({ length }) => length === 0)) throw new DnsMissing(`${name} A, AAAA: no record`);
      return found.flat();
    },
  };
}

/** The same for who has no IPv6, or wants none (disable_ipv6). */
export function ipv4Only({ addresses }: AddressResolver): AddressResolver {
  return {
    async addresses(name) {
      const found = (await addresses(name)).filter((address) => isIPv4(address));
      if (found.length === 0) throw new DnsMissing(`${name} A: no record`);
      return found;
    },
  };
}

/** node:dns's error in our terms; `question` begins the message. */
export function explain(question: string, error: unknown): DnsMissing | DnsTrouble {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return missing.has(code)
    ? new DnsMissing(`${question}: ${code}`, { cause: error })
    : new DnsTrouble(`${question}: ${code}`, { cause: error });
}
