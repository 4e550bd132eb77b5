import { Resolver as SystemResolver } from 'node:dns/promises';
import { DnsMissing, explain } from './resolver.ts';
import { canonicalName } from './zone.ts';
import type { RecordData, RecordType } from './zone.ts';

/** Questions for records of any type that a relay's zone has. */
export interface Lookup extends Disposable {
  /**
   * The records of `name`; those behind a CNAME only where the server has them too. None where it answers that there
   * are none. Rejects with DnsTrouble where nobody answers.
   */
  ask(name: string, type: RecordType): Promise<readonly RecordData[]>;
}

export interface LookupOptions {
  /** As node:dns takes them; those of the system when left out. */
  readonly servers?: readonly string[] | undefined;
  /** Milliseconds until a question is DnsTrouble, for each server. */
  readonly timeoutMs: number;
}

/** UDP packets get lost: each server is asked twice, and waited for twice as long the second time. */
const TRIES = 2;
const WAITS = 3;

/** Asks `servers`. Nothing is kept. Disposing of it ends the questions under way, as trouble. */
export function createLookup({ servers, timeoutMs }: LookupOptions): Lookup {
  const wait = Math.max(1, Math.floor(timeoutMs / WAITS));
  const resolver = new SystemResolver({ timeout: wait, maxTimeout: (WAITS - 1) * wait, tries: TRIES });
  if (servers !== undefined && servers.length > 0) resolver.setServers(servers);
  return {
    async ask(name, type) {
      try {
        return await read(resolver, name, type);
      } catch (error) {
        const reason = explain(`${name} ${type}`, error);
        if (reason instanceof DnsMissing) return [];
        throw reason;
      }
    },
    [Symbol.dispose]: () => resolver.cancel(),
  };
}

async function read(resolver: SystemResolver, name: string, type: RecordType): Promise<RecordData[]> {
  switch (type) {
    case 'A':
      return (await resolver.resolve4(name)).map((address) => ({ type, address }));
    case 'AAAA':
      return (await resolver.resolve6(name)).map((address) => ({ type, address }));
    case 'CNAME':
      return (await resolver.resolveCname(name)).map((target) => ({ type, target: canonicalName(target) }));
    case 'NS':
      return (await resolver.resolveNs(name)).map((target) => ({ type, target: canonicalName(target) }));
    case 'PTR':
      return (await resolver.resolvePtr(name)).map((target) => ({ type, target: canonicalName(target) }));
    case 'MX':
      return (await resolver.resolveMx(name)).map(({ priority, exchange }) => ({
        type,
        preference: priority,
        exchange: canonicalName(exchange),
      }));
    case 'TXT':
      return (await resolver.resolveTxt(name)).map((strings) => ({ type, text: strings.join('') }));
    case 'SRV':
      return (await resolver.resolveSrv(name)).map((record) => ({
        type,
        priority: record.priority,
        weight: record.weight,
        port: record.port,
        target: canonicalName(record.name),
      }));
    case 'CAA':
      return (await resolver.resolveCaa(name)).flatMap(({ critical, ...properties }) =>
        Object.entries(properties).map(([tag, value]) => ({
          type,
          flags: critical,
          tag: tag.toLowerCase(),
          value: String(value),
        })),
      );
  }
}
