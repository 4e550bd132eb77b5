/** Whether a certificate fits TLSA records (RFC 6698, RFC 7671, RFC 7672): values in, values out, no IO. */
import { createHash } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import type { TlsaRecord } from '../dns/question.ts';
import { certificateParts, maySignCertificates, pathLengthOf } from './certificate-parts.ts';

const USAGE = { trustAnchor: 2, endEntity: 3 } as const;
const SELECTOR = { certificate: 0, publicKey: 1 } as const;
const MATCHING = { whole: 0, sha256: 1, sha512: 2 } as const;
const DIGEST_SIZE: Readonly<Record<number, number>> = { [MATCHING.sha256]: 32, [MATCHING.sha512]: 64 };

/** Certificates of a chain that are looked at; servers send two to four. */
export const MAX_CHAIN = 10;

/** What is looked at beside the records. */
export interface Peer {
  /** Its own certificate first, then who issued each: at least one. */
  readonly chain: readonly X509Certificate[];
  /** What it may be called, for DANE-TA (RFC 7672 3.2.2): any of them will do. */
  readonly names: readonly string[];
  readonly now: number;
}

/**
 * Those that can be used. PKIX-TA(0) and PKIX-EE(1) cannot, between mail servers (RFC 7672 3.1.3). Of several digests of
 * one kind the strongest counts (RFC 7671 9).
 */
export function usableRecords(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const known = records.filter(
    ({ usage, selector, matchingType, data }) =>
      (usage === USAGE.trustAnchor || usage === USAGE.endEntity) &&
      (selector === SELECTOR.certificate || selector === SELECTOR.publicKey) &&
      (matchingType === MATCHING.whole ? data.length > 0 : data.length === DIGEST_SIZE[matchingType]),
  );
  const strongest = (one: TlsaRecord) =>
    one.matchingType === MATCHING.whole ||
    known.every(
      (other) =>
        other.usage !== one.usage ||
        other.selector !== one.selector ||
        other.matchingType <= one.matchingType,
    );
  return known.filter(strongest);
}

/** Undefined where one of the records fits, else why none does, in plain words. `records` are usable ones. */
export function mismatch(records: readonly TlsaRecord[], peer: Peer): string | undefined {
  const [own, ...issuers] = peer.chain.slice(0, MAX_CHAIN);
  if (own === undefined) return 'it showed no certificate';
  const ofUsage = (usage: number) => records.filter((record) => record.usage === usage);
  // RFC 7672 3.1.1: names, dates and issuers say nothing beside this.
  if (ofUsage(USAGE.endEntity).some((record) => fits(record, own))) return undefined;
  const anchors = ofUsage(USAGE.trustAnchor);
  // RFC 7672 3.1.2: the server sends its anchor along.
  const anchor = issuers.findIndex((one) => anchors.some((record) => fits(record, one)));
  if (anchor < 0) return 'no record names a certificate that it showed';
  const path = peer.chain.slice(0, anchor + 2);
  return brokenPath(path, peer.now) ?? wrongName(own, peer.names);
}

function fits({ selector, matchingType, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const bytes =
    selector === SELECTOR.certificate ? certificate.raw : certificateParts(certificate.raw)?.publicKey;
  if (bytes === undefined) return false;
  const digest = matchingType === MATCHING.sha256 ? 'sha256' : 'sha512';
  return data.equals(matchingType === MATCHING.whole ? bytes : createHash(digest).update(bytes).digest());
}

function wrongName(own: X509Certificate, names: readonly string[]): string | undefined {
  // RFC 7672 3.2.3: the names in the certificate, and its subject only where there are none.
  if (names.some((name) => own.checkHost(name, { subject: 'default', partialWildcards: false })))
    return undefined;
  return `its certificate is not for ${names.join(' or ')}`;
}

/** The checks of RFC 5280 6.1 from the anchor, the last one, down to the server's own, as far as mail servers use them. */
function brokenPath(path: readonly X509Certificate[], now: number): string | undefined {
  for (const [place, certificate] of path.entries()) {
    if (now < certificate.validFromDate.getTime() || now > certificate.validToDate.getTime())
      return 'one of its certificates has expired, or is not valid yet';
    const issuer = path[place + 1];
    if (issuer && !(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)))
      return 'its certificates do not vouch for one another';
    const why = place === 0 ? unfitServer(certificate) : unfitIssuer(certificate, place - 1);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** Extensions that are known here, by the hex of their identifiers (RFC 5280 4.2.1). */
const EXTENSION = {
  keyUsage: '551d0f',
  alternativeName: '551d11',
  basicConstraints: '551d13',
  policies: '551d20',
  extendedKeyUsage: '551d25',
} as const;
const KNOWN: ReadonlySet<string> = new Set(Object.values(EXTENSION));
/** RFC 5280 4.2.1.12: id-kp-serverAuth and anyExtendedKeyUsage. */
const SERVER_USES: readonly string[] = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];

function unfitServer(certificate: X509Certificate): string | undefined {
  if (demandsUnknown(certificate)) return 'one of its certificates has conditions that are not known here';
  // node:crypto calls the extended key usage so.
  const uses = certificate.keyUsage;
  if (uses && !uses.some((use) => SERVER_USES.includes(use))) return 'its certificate is not for servers';
  return undefined;
}

/** `below`: authorities between it and the server's own certificate. */
function unfitIssuer(certificate: X509Certificate, below: number): string | undefined {
  if (demandsUnknown(certificate)) return 'one of its certificates has conditions that are not known here';
  const value = (id: string) =>
    certificateParts(certificate.raw)?.extensions.find((extension) => extension.id === id)?.value;
  const constraints = value(EXTENSION.basicConstraints);
  const usage = value(EXTENSION.keyUsage);
  const most = constraints && (pathLengthOf(constraints) ?? Infinity);
  const may = certificate.ca && most !== undefined && below <= most && (!usage || maySignCertificates(usage));
  return may ? undefined : 'one of its certificates may not vouch for another';
}

/** RFC 5280 4.2: what is critical and not known makes a certificate unfit; constraints of names are of that kind here. */
function demandsUnknown(certificate: X509Certificate): boolean {
  const parts = certificateParts(certificate.raw);
  return parts === undefined || parts.extensions.some(({ id, critical }) => critical && !KNOWN.has(id));
}
