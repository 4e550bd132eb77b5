import { stsId, stsPolicy } from './sts-policy.ts';
import type { Grade, RecordData } from './zone.ts';

/** What a record is for; it decides what counts as having it. */
export type Role =
  | 'address'
  | 'mail'
  | 'dkim'
  | 'spf'
  | 'dmarc'
  | 'mta-sts'
  | 'alias'
  | 'caa'
  | 'service'
  | 'tls-report'
  | 'reverse';

export interface WantedRecord {
  readonly role: Role;
  readonly name: string;
  readonly data: RecordData;
  readonly grade: Grade;
  /** What it is for, in half a sentence. */
  readonly why: string;
}

/** Who issues the certificate; nothing where nobody does, or where we cannot know. */
export interface Issuer {
  /** The names by which CAA records know the authority. */
  readonly authority: readonly string[];
  /** Our account with it (RFC 8657), once there is one. */
  readonly accountUrl?: string | undefined;
}

export interface ZoneFacts {
  /** The mail domain: a name, never a bare address. */
  readonly domain: string;
  /** Where the relay is to be reached; empty where that is not known. */
  readonly addresses: readonly string[];
  /** Those that the world sees. */
  readonly ports: {
    readonly submission_port: number;
    readonly submissions_port: number;
    readonly imap_port: number;
    readonly imaps_port: number;
  };
  /** The records of the keys that sign. */
  readonly dkim: readonly { readonly name: string; readonly value: string }[];
  readonly issuer: Issuer | undefined;
  /** Whether strangers take the certificate; without that, a policy that demands it would keep mail away. */
  readonly certificateIsPublic: boolean;
  /** tls_report_address */
  readonly tlsReportAddress: string | undefined;
}

/**
 * What the zone of a relay should hold, most important first (relay.md 9). Not taken over from upstream: `_adsp`, as
 * ADSP is historic (RFC 5617, reclassified in 2013) and DMARC says the same.
 */
export function wantedRecords(facts: ZoneFacts): readonly WantedRecord[] {
  const { domain } = facts;
  return [
    ...facts.addresses.map((address): WantedRecord => {
      const type = address.includes(':') ? 'AAAA' : 'A';
      // A relay that is reached by one kind of address is reached; Delta Chat and servers try both.
      const grade = type === 'A' || facts.addresses.every((one) => one.includes(':')) ? 'must' : 'should';
      return { role: 'address', name: domain, data: { type, address }, grade, why: 'where the relay is' };
    }),
    {
      role: 'mail',
      name: domain,
      data: { type: 'MX', preference: 10, exchange: domain },
      grade: 'must',
      why: 'where other servers bring mail',
    },
    ...facts.dkim.map(({ name, value }): WantedRecord => ({
      role: 'dkim',
      name,
      data: { type: 'TXT', text: value },
      // Other relays take no mail without a signature; Ed25519 (RFC 8463) is beside RSA, and few look at it.
      ...(/(^|;)\s*k=ed25519/.test(value)
        ? { grade: 'should', why: 'the second key that signs our mail, for those who know its kind' }
        : { grade: 'must', why: 'the key that signs our mail: other relays refuse mail without it' }),
    })),
    {
      role: 'spf',
      name: domain,
      // Upstream's. `a`: we send from where we are reached. `~all` and not `-all`: servers that look at SPF alone would
      // refuse forwarded mail before they come to its signature; DMARC below says what to do with the rest.
      data: { type: 'TXT', text: 'v=spf1 a ~all' },
      grade: 'should',
      why: 'which machines send our mail',
    },
    {
      role: 'dmarc',
      name: `_dmarc.${domain}`,
      data: { type: 'TXT', text: 'v=DMARC1;p=reject;adkim=s;aspf=s' },
      grade: 'should',
      why: 'others are to refuse mail in our name that we have not signed',
    },
    ...(facts.certificateIsPublic ? policyRecords(domain) : []),
    ...(facts.issuer === undefined ? [] : caaRecords(domain, facts.issuer)),
    ...(facts.tlsReportAddress === undefined
      ? []
      : [
          {
            role: 'tls-report',
            name: `_smtp._tls.${domain}`,
            data: { type: 'TXT', text: `v=TLSRPTv1;rua=mailto:${facts.tlsReportAddress}` },
            grade: 'should',
            why: 'where others report trouble with our TLS (tls_report_address)',
          } as const,
        ]),
    ...(['www', 'autoconfig'] as const).map((prefix): WantedRecord => ({
      role: 'alias',
      name: `${prefix}.${domain}`,
      data: { type: 'CNAME', target: domain },
      grade: 'nice',
      why: prefix === 'www' ? 'the web page for those who type www' : 'mail apps find their settings',
    })),
    ...serviceRecords(facts),
  ];
}

/** RFC 8461. */
function policyRecords(domain: string): readonly WantedRecord[] {
  const id = stsId(stsPolicy(domain));
  return [
    {
      role: 'mta-sts',
      name: `_mta-sts.${domain}`,
      data: { type: 'TXT', text: `v=STSv1;id=${id}` },
      grade: 'should',
      why: 'other servers are told to insist on TLS with us',
    },
    {
      role: 'alias',
      name: `mta-sts.${domain}`,
      data: { type: 'CNAME', target: domain },
      grade: 'should',
      why: 'where other servers fetch that policy',
    },
  ];
}

/** RFC 8659; with `accounturi` (RFC 8657) nobody else gets a certificate for us, even who can reroute our traffic. */
function caaRecords(domain: string, { authority, accountUrl }: Issuer): readonly WantedRecord[] {
  const account = accountUrl === undefined ? '' : `;accounturi=${accountUrl}`;
  return authority.slice(0, 1).map((name) => ({
    role: 'caa',
    name: domain,
    data: { type: 'CAA', flags: 0, tag: 'issue', value: `${name}${account}` },
    grade: 'should',
    why: 'who may issue certificates for us',
  }));
}

/** RFC 6186 and 8314 5.1. Delta Chat does not ask for them; Thunderbird and others do. */
function serviceRecords({ domain, ports }: ZoneFacts): readonly WantedRecord[] {
  const services = [
    ['submissions', ports.submissions_port],
    ['submission', ports.submission_port],
    ['imaps', ports.imaps_port],
    ['imap', ports.imap_port],
  ] as const;
  return services.map(([service, port]) => ({
    role: 'service',
    name: `_${service}._tcp.${domain}`,
    data: { type: 'SRV', priority: 0, weight: 1, port, target: domain },
    grade: 'nice',
    why: 'other mail apps find the server',
  }));
}

/** By the directory's host: what each writes in its terms; for one that is not here there is no record to advise. */
const authorities: readonly (readonly [host: RegExp, name: string])[] = [
  [/(^|\.)letsencrypt\.org$/, 'letsencrypt.org'],
  [/(^|\.)pki\.goog$/, 'pki.goog'],
  [/(^|\.)zerossl\.com$/, 'sectigo.com'],
  [/(^|\.)sectigo\.com$/, 'sectigo.com'],
  [/(^|\.)ssl\.com$/, 'ssl.com'],
];

/** Who issues by this ACME directory, before there is an account with it. */
export function issuerOf(directoryUrl: string): Issuer | undefined {
  const host = new URL(directoryUrl).hostname;
  const known = authorities.find(([pattern]) => pattern.test(host));
  return known && { authority: [known[1]] };
}
