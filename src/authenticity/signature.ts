import { minute, second } from '../clock.ts';
import { trimBlank } from '../message/tokens.ts';
import { readTagList } from './tag-list.ts';
import type { TagList } from './tag-list.ts';

export type Canonicalization = 'simple' | 'relaxed';

/** A DKIM-Signature field that keeps the rules of RFC 6376 3.5: what remains is to check it against key and message. */
export interface Signature {
  /** d=, lower case. */
  readonly domain: string;
  /** s=, lower case. */
  readonly selector: string;
  /** Domain of i=: `domain` or one below it. */
  readonly identityDomain: string;
  readonly keyType: 'rsa' | 'ed25519';
  readonly bodyCanonicalization: Canonicalization;
  /** h= in lower case; a name stands there once for each field that is covered, and perhaps once more. */
  readonly signedNames: readonly string[];
  /** l=, octets of the canonical body. */
  readonly bodyLength?: number;
  /** t= in milliseconds. */
  readonly signedAt?: number;
  /** x= in milliseconds. */
  readonly expiresAt?: number;
}

/** Why a field is no signature to us; the names are there where they can be read at all. */
export interface BrokenSignature {
  readonly problem: string;
  readonly domain?: string;
  readonly selector?: string;
}

/** Characters of one field. An RSA-4096 signature over 60 names takes 2 KB; z= (copies of fields) may add some. */
export const MAX_SIGNATURE_LENGTH = 16 * 1024;

/** Names in h=. Oversigning all that RFC 6376 5.4.1 lists takes 60. */
export const MAX_SIGNED_NAMES = 250;

/** Longest run of space and tab in a field. mailauth trims with patterns whose cost is the square of such a run. */
const MAX_BLANK_RUN = 200;

/** How far another relay's clock may be from ours: upstream's number (relay.md 4). */
export const CLOCK_DRIFT = 5 * minute;

/** RFC 1035 2.3.4, without the root's dot. */
const MAX_NAME = 253;

// RFC 6376 3.5, plus `_`: it is common in selectors, and relays for trials are called `_name` (relay.md 1).
const domainName =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;
const fieldName = /^[!-9;-~]+$/;
const canonicalization = /^(simple|relaxed)(?:\/(simple|relaxed))?$/;
const blankRun = new RegExp(`[ \\t]{${MAX_BLANK_RUN + 1}}`);

/** The name that holds the key (RFC 6376 3.6.2.1): the only kind of name that checking mail asks DNS about. */
export function keyName({ domain, selector }: { domain: string; selector: string }): string {
  return `${selector}._domainkey.${domain}`;
}

/** Reads the unfolded value of a DKIM-Signature field (RFC 6376 3.5, 6.1.1; RFC 8301, RFC 8463). */
export function readSignature(value: string): Signature | BrokenSignature {
  if (value.length > MAX_SIGNATURE_LENGTH || blankRun.test(value)) return { problem: 'signature too long' };
  const tags = readTagList(value);
  if ('problem' in tags) return tags;
  const domain = tags.get('d')?.toLowerCase() ?? '';
  const selector = tags.get('s')?.toLowerCase() ?? '';
  if (!domainName.test(domain)) return { problem: 'no domain in d=' };
  if (!domainName.test(selector) || keyName({ domain, selector }).length > MAX_NAME)
    return { problem: 'no selector in s=', domain };

  const rest = readTags(tags, domain);
  return typeof rest === 'string' ? { problem: rest, domain, selector } : { ...rest, domain, selector };
}

function readTags(tags: TagList, domain: string): Omit<Signature, 'domain' | 'selector'> | string {
  if (tags.get('v') !== '1') return 'v= is not 1';
  const keyType = readAlgorithm(tags.get('a')?.toLowerCase());
  if (keyType !== 'rsa' && keyType !== 'ed25519') return keyType.problem;
  const canons = canonicalization.exec(tags.get('c')?.toLowerCase() ?? 'simple/simple');
  if (canons === null) return 'unknown canonicalization in c=';
  for (const tag of ['b', 'bh'])
    if (!base64.test(tags.get(tag)?.replace(/[ \t]/g, '') ?? '')) return `no base64 in ${tag}=`;
  if (!(tags.get('q') ?? 'dns/txt').toLowerCase().split(':').map(trimBlank).includes('dns/txt'))
    return 'unknown query method in q=';

  const signedNames = (tags.get('h') ?? '').toLowerCase().split(':').map(trimBlank);
  if (signedNames.length > MAX_SIGNED_NAMES) return 'too many names in h=';
  if (!signedNames.every((name) => fieldName.test(name))) return 'no field names in h=';
  // RFC 6376 5.4: a signature says something about the author, or nothing.
  if (!signedNames.includes('from')) return 'From is not signed';

  const identityDomain = readIdentity(tags.get('i') ?? `@${domain}`);
  if (identityDomain !== domain && !identityDomain.endsWith(`.${domain}`)) return 'i= is not under d=';

  const [signedAt, expiresAt, bodyLength] = [
    readNumber(tags.get('t'), 12),
    readNumber(tags.get('x'), 12),
    readNumber(tags.get('l'), 76),
  ];
  if (signedAt === null || expiresAt === null || bodyLength === null) return 'no number in t=, x= or l=';
  if (signedAt !== undefined && expiresAt !== undefined && expiresAt <= signedAt) return 'x= is not after t=';
  return {
    identityDomain,
    keyType,
    // RFC 6376 3.5, c=: the body's is simple where only the header's is named.
    bodyCanonicalization: canons[2] === 'relaxed' ? 'relaxed' : 'simple',
    signedNames,
    ...(bodyLength === undefined ? {} : { bodyLength }),
    ...(signedAt === undefined ? {} : { signedAt: signedAt * second }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt * second }),
  };
}

/** What time has to say against a signature (RFC 6376 3.5, t= and x=), undefined where nothing. */
export function timeProblem({ signedAt, expiresAt }: Signature, now: number): string | undefined {
  if (expiresAt !== undefined && expiresAt + CLOCK_DRIFT < now) return 'expired';
  if (signedAt !== undefined && signedAt - CLOCK_DRIFT > now) return 'signed in the future';
  return undefined;
}

function readAlgorithm(algorithm: string | undefined): 'rsa' | 'ed25519' | { readonly problem: string } {
  if (algorithm === 'rsa-sha256') return 'rsa';
  if (algorithm === 'ed25519-sha256') return 'ed25519';
  // RFC 8301 3.1: MUST NOT be used for verifying.
  return { problem: algorithm === 'rsa-sha1' ? 'rsa-sha1 does not count' : 'unknown algorithm in a=' };
}

/** Domain of i=, which is `[local-part]@domain` in dkim-quoted-printable (RFC 6376 2.11); '' where there is none. */
function readIdentity(text: string): string {
  const plain = text
    .replace(/[ \t]/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return plain.includes('@') ? plain.slice(plain.lastIndexOf('@') + 1).toLowerCase() : '';
}

/** Undefined where the tag is missing, null where it holds no number of at most `digits`. */
function readNumber(text: string | undefined, digits: number): number | undefined | null {
  if (text === undefined) return undefined;
  return text.length <= digits && /^[0-9]+$/.test(text) ? Number(text) : null;
}
