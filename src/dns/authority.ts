import { isIPv4 } from 'node:net';
import { createLookup } from './lookup.ts';
import type { Lookup } from './lookup.ts';
import { DnsTrouble } from './resolver.ts';
import { dataText, namesUpwards } from './zone.ts';
import type { RecordData, RecordType } from './zone.ts';

/** What the name servers of a zone have at a name. */
export interface Answer {
  /** One list where they agree, which is empty where there is no such record; several where they do not. */
  readonly variants: readonly (readonly RecordData[])[];
  /** Who was asked: the servers of the zone, or, where none of them answers from here, the usual resolver. */
  readonly from: 'authority' | 'resolver';
}

/** A part of the tree of names with servers of its own. */
export interface Zone {
  readonly name: string;
  readonly servers: readonly { readonly name: string; readonly address: string }[];
}

/** Questions to those who know, so that no cache between hides what was entered a minute ago. */
export interface Authority extends Disposable {
  /** Follows CNAMEs, into other zones as well. Rejects with DnsTrouble. */
  ask(name: string, type: RecordType): Promise<Answer>;
  /** The zone that `name` is in; undefined where there is none below a top level domain. Rejects with DnsTrouble. */
  zoneOf(name: string): Promise<Zone | undefined>;
  /** The usual resolver. */
  readonly resolver: Lookup;
}

export interface AuthorityOptions {
  /** `dns_servers`; those of the system when left out. They tell where the zone's own servers are. */
  readonly servers?: readonly string[] | undefined;
  readonly timeoutMs: number;
  /** Where name servers listen; another port than 53 is for tests. */
  readonly port?: number;
}

/** Of a zone, that are asked; most have two to four. */
const MAX_SERVERS = 4;
/** Zones, that is servers, that one check may meet: aliases lead elsewhere. */
const MAX_LOOKUPS = 32;
/** CNAMEs behind each other; resolvers give up after about as many. */
const MAX_ALIASES = 8;

/** Nothing is kept but which zone has which servers, for as long as this is in use: some seconds. */
export function createAuthority({ servers, timeoutMs, port = 53 }: AuthorityOptions): Authority {
  const resolver = createLookup({ servers, timeoutMs });
  const lookups = new Map<string, Lookup>();
  const zones = new Map<string, Promise<Zone | undefined>>();

  function lookupOf(address: string): Lookup {
    const known = lookups.get(address);
    if (known !== undefined) return known;
    if (lookups.size >= MAX_LOOKUPS) throw new DnsTrouble('too many name servers for one check');
    const lookup = createLookup({
      servers: [isIPv4(address) ? `${address}:${port}` : `[${address}]:${port}`],
      timeoutMs,
    });
    lookups.set(address, lookup);
    return lookup;
  }

  function zoneOf(name: string): Promise<Zone | undefined> {
    const known = zones.get(name);
    if (known !== undefined) return known;
    const found = findZone(name);
    zones.set(name, found);
    return found;
  }

  async function findZone(name: string): Promise<Zone | undefined> {
    const [, parent] = namesUpwards(name);
    // What has a CNAME has no servers of its own, but a resolver would follow it to those of another zone.
    const [alias, names] = await Promise.all([resolver.ask(name, 'CNAME'), resolver.ask(name, 'NS')]);
    if (alias.length > 0 || names.length === 0) return parent === undefined ? undefined : zoneOf(parent);
    const targets = names.flatMap((record) => (record.type === 'NS' ? [record.target] : [])).sort();
    const found = await Promise.all(targets.slice(0, MAX_SERVERS).map(addressOf));
    return { name, servers: found.flat() };
  }

  /** One address of a server is enough; IPv6 only where there is nothing else, as many machines have none. */
  async function addressOf(name: string): Promise<Zone['servers']> {
    for (const type of ['A', 'AAAA'] as const) {
      const records = await resolver.ask(name, type).catch((): RecordData[] => []);
      const [address] = records.flatMap((record) => ('address' in record ? [record.address] : []));
      if (address !== undefined) return [{ name, address }];
    }
    return [];
  }

  async function askOnce(name: string, type: RecordType): Promise<Answer> {
    const zone = await zoneOf(name);
    const answers = await Promise.allSettled(
      (zone?.servers ?? []).map(async ({ address }) => lookupOf(address).ask(name, type)),
    );
    const had = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (had.length === 0) return { variants: [await resolver.ask(name, type)], from: 'resolver' };
    return { variants: distinct(had), from: 'authority' };
  }

  async function ask(name: string, type: RecordType, aliases = 0): Promise<Answer> {
    const answer = await askOnce(name, type);
    if (type === 'CNAME' || answer.variants.some((records) => records.length > 0)) return answer;
    // A server names the alias, and of another zone it knows no more.
    const [alias] = (await askOnce(name, 'CNAME')).variants.flat();
    if (alias?.type !== 'CNAME' || aliases >= MAX_ALIASES) return answer;
    return ask(alias.target, type, aliases + 1);
  }

  return {
    ask: (name, type) => ask(name, type),
    zoneOf,
    resolver,
    [Symbol.dispose]() {
      for (const lookup of [resolver, ...lookups.values()]) lookup[Symbol.dispose]();
    },
  };
}

function distinct(answers: readonly (readonly RecordData[])[]): readonly (readonly RecordData[])[] {
  const byText = new Map(answers.map((records) => [records.map(dataText).sort().join('\n'), records]));
  return [...byText.values()];
}
