import { relayAddresses, reverseName } from './addresses.ts';
import type { Authority, Answer, Zone } from './authority.ts';
import { compare } from './compare.ts';
import type { CompareContext } from './compare.ts';
import { wantedRecords } from './records.ts';
import type { WantedRecord, ZoneFacts } from './records.ts';
import { DnsTrouble } from './resolver.ts';
import { differs, ok, worst } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import { dataText, formText, namesUpwards } from './zone.ts';
import type { Grade, RecordData, RecordType } from './zone.ts';

/** What is to be said of one record. */
export interface Finding {
  readonly role: WantedRecord['role'];
  readonly grade: Grade;
  /** `unknown`: DNS did not answer. */
  readonly state: Verdict['state'] | 'unknown';
  readonly name: string;
  readonly type: RecordType;
  /** As a form takes it; in angle brackets where the operator must know it. */
  readonly want: string;
  /** As in a zone file. */
  readonly have: readonly string[];
  readonly notes: readonly string[];
  readonly why: string;
}

export interface Report {
  readonly domain: string;
  /** Undefined where there is none, or DNS did not say. */
  readonly zone: Zone | undefined;
  /** Some answers came from the usual resolver, whose memory may be an hour old. */
  readonly fromResolver: boolean;
  /** Those that DNS has for the domain. */
  readonly published: readonly string[];
  readonly findings: readonly Finding[];
}

export interface CheckParts {
  readonly authority: Authority;
  readonly facts: Omit<ZoneFacts, 'addresses'>;
  /** Of this machine, those at which the relay listens. */
  readonly ownAddresses: readonly string[];
}

type Asked = Answer | DnsTrouble;

/** Compares the zone with what it should hold. Takes as long as DNS, at most some time-outs of it; rejects for nobody. */
export async function checkZone({ authority, facts, ownAddresses }: CheckParts): Promise<Report> {
  const { domain } = facts;
  let fromResolver = false;
  const ask = async (name: string, type: RecordType): Promise<Asked> => {
    try {
      const answer = await authority.ask(name, type);
      fromResolver ||= answer.from === 'resolver';
      return answer;
    } catch (error) {
      if (error instanceof DnsTrouble) return error;
      throw error;
    }
  };

  const zone = await authority.zoneOf(domain).catch(() => undefined);
  const published = await addressesOf(domain, ask);
  const there = published instanceof DnsTrouble ? [] : published;
  const addresses = relayAddresses(ownAddresses, there);
  const mail = await ask(domain, 'MX');
  const context: CompareContext = {
    domain,
    addresses,
    published: there,
    mailComesHere: recordsOf(mail).some((record) => record.type === 'MX' && record.exchange === domain),
    issuer: facts.issuer,
    reached: [],
  };
  const wanted = wantedRecords({ ...facts, addresses });
  const findings = await Promise.all([
    ...wanted.map((record) => checkRecord(record, context, ask)),
    ...addresses.map((address) => checkReverse(address, context, authority)),
  ]);
  const unheardOf = addresses.length === 0 ? [noAddress(domain, published)] : [];
  return { domain, zone, fromResolver, published: there, findings: [...unheardOf, ...findings] };
}

type Ask = (name: string, type: RecordType) => Promise<Asked>;

async function checkRecord(wanted: WantedRecord, context: CompareContext, ask: Ask): Promise<Finding> {
  const { asked, reached } =
    wanted.role === 'alias'
      ? await askAlias(wanted.name, ask)
      : wanted.role === 'caa'
        ? { asked: await askClimbing(wanted.name, ask), reached: [] }
        : { asked: await ask(wanted.name, wanted.data.type), reached: [] };
  const common = findingOf(wanted);
  if (asked instanceof DnsTrouble) return { ...common, state: 'unknown', have: [], notes: [asked.message] };
  const verdict = worst(asked.variants.map((have) => compare(wanted, have, { ...context, reached })));
  const agreed = asked.variants.length === 1;
  return {
    ...common,
    grade: verdict.grade ?? wanted.grade,
    state: verdict.state,
    have: [...new Set(shown(wanted, recordsOf(asked)).map(dataText))],
    notes: [
      ...verdict.notes,
      ...(agreed
        ? []
        : ['the name servers of the zone do not agree: a change is on its way, or one is behind']),
    ],
  };
}

function findingOf({ role, grade, name, data, why }: WantedRecord) {
  return { role, grade, name, type: data.type, want: formText(data), why };
}

/** Of the TXT records of a name only those that have to do with the one in question. */
function shown({ role }: WantedRecord, have: readonly RecordData[]): readonly RecordData[] {
  const marks = {
    spf: 'v=spf1',
    dmarc: 'v=dmarc1',
    'mta-sts': 'v=stsv1',
    'tls-report': 'v=tlsrptv1',
  } as const;
  const mark = role in marks ? marks[role as keyof typeof marks] : undefined;
  if (mark === undefined) return have;
  return have.filter(
    (data) => data.type === 'TXT' && data.text.toLowerCase().replace(/[\s"]/g, '').includes(mark),
  );
}

async function askAlias(name: string, ask: Ask): Promise<{ asked: Asked; reached: readonly string[] }> {
  const [alias, a, aaaa] = await Promise.all([ask(name, 'CNAME'), ask(name, 'A'), ask(name, 'AAAA')]);
  const trouble = [a, aaaa].find((answer) => answer instanceof DnsTrouble);
  if (trouble !== undefined) return { asked: trouble, reached: [] };
  const there = [...recordsOf(a), ...recordsOf(aaaa)];
  const reached = there.flatMap((record) => ('address' in record ? [record.address] : []));
  const cname = recordsOf(alias);
  return { asked: { variants: [cname.length > 0 ? cname : there], from: 'authority' }, reached };
}

/** RFC 8659 3: the records of the nearest name upwards that has any hold. */
async function askClimbing(domain: string, ask: Ask): Promise<Asked> {
  let answer: Asked = { variants: [[]], from: 'authority' };
  for (const name of namesUpwards(domain)) {
    answer = await ask(name, 'CAA');
    if (answer instanceof DnsTrouble || recordsOf(answer).length > 0) return answer;
  }
  return answer;
}

async function addressesOf(name: string, ask: Ask): Promise<readonly string[] | DnsTrouble> {
  const [a, aaaa] = await Promise.all([ask(name, 'A'), ask(name, 'AAAA')]);
  if (a instanceof DnsTrouble && aaaa instanceof DnsTrouble) return a;
  return [...recordsOf(a), ...recordsOf(aaaa)].flatMap((record) =>
    'address' in record ? [record.address] : [],
  );
}

function recordsOf(asked: Asked): readonly RecordData[] {
  return asked instanceof DnsTrouble ? [] : asked.variants.flat();
}

/** Neither the machine nor DNS knows an address: the operator has to. */
function noAddress(domain: string, published: readonly string[] | DnsTrouble): Finding {
  const common = {
    role: 'address',
    grade: 'must',
    name: domain,
    type: 'A',
    have: [],
    why: 'where the relay is',
  } as const;
  const want = '<the public IPv4 address of this machine>';
  return published instanceof DnsTrouble
    ? { ...common, want, state: 'unknown', notes: [published.message] }
    : {
        ...common,
        want,
        state: 'missing',
        notes: ['this machine does not know by which address it is reached'],
      };
}

/** The name of an address is set where the machine is rented. Another name than ours is fine if it leads back (FCrDNS). */
async function checkReverse(
  address: string,
  context: CompareContext,
  { resolver }: Authority,
): Promise<Finding> {
  const name = reverseName(address);
  const wanted: WantedRecord = {
    role: 'reverse',
    name,
    data: { type: 'PTR', target: context.domain },
    grade: 'should',
    why: `the name of ${address}, set where the machine is rented: many servers take no mail from nameless ones`,
  };
  try {
    const have = await resolver.ask(name, 'PTR');
    const names = have.flatMap((record) => (record.type === 'PTR' ? [record.target] : []));
    const back = await leadsBack(names.slice(0, MAX_NAMES), address, context, resolver);
    const plain = compare(wanted, have, context);
    const verdict =
      plain.state === 'missing'
        ? plain
        : back === undefined
          ? differs(`${names.join(', ')} does not lead back to ${address}`)
          : back === context.domain
            ? ok()
            : ok(`it is ${back}, which leads back: that will do`);
    return { ...findingOf(wanted), ...verdict, grade: 'should', have: have.map(dataText) };
  } catch (error) {
    if (!(error instanceof DnsTrouble)) throw error;
    return { ...findingOf(wanted), state: 'unknown', have: [], notes: [error.message] };
  }
}

/** Names of one address that are followed. */
const MAX_NAMES = 4;

/** The name of the address that has it in turn, ours before others. */
async function leadsBack(
  names: readonly string[],
  address: string,
  { domain, published }: CompareContext,
  resolver: Authority['resolver'],
): Promise<string | undefined> {
  if (names.includes(domain) && published.includes(address)) return domain;
  const type = address.includes(':') ? 'AAAA' : 'A';
  const found = await Promise.all(
    names.map(async (name) => {
      const records = await resolver.ask(name, type);
      return records.some((record) => 'address' in record && record.address === address);
    }),
  );
  return names.find((_, place) => found[place]);
}

/** What a person, a script or a log is told of it all. */
export function summarize({ findings }: Report): {
  readonly failing: readonly Finding[];
  readonly weak: readonly Finding[];
  readonly unknown: readonly Finding[];
} {
  const bad = findings.filter(({ state }) => state === 'missing' || state === 'differs');
  return {
    failing: bad.filter(({ grade }) => grade === 'must'),
    weak: bad.filter(({ grade }) => grade === 'should'),
    unknown: findings.filter(({ state }) => state === 'unknown'),
  };
}
