import { trimBlank } from '../message/tokens.ts';
import type { Signature } from './signature.ts';
import { readTagList } from './tag-list.ts';

/** A DKIM key record (RFC 6376 3.6.1) that can be used for mail. */
export interface KeyRecord {
  /** The record, for the verifier: without space and quotes. */
  readonly text: string;
  readonly type: 'rsa' | 'ed25519';
  /** t=y: the domain is testing DKIM. */
  readonly testing: boolean;
  /** t=s: i= must be at d= itself. */
  readonly sameDomain: boolean;
}

/** Characters of a record. An RSA-4096 key takes 750; one that fills this is slow to verify with, but not very. */
export const MAX_RECORD_LENGTH = 4096;

/** Records looked at under one name: there should be one (RFC 6376 3.6.2.2). */
const MAX_RECORDS = 10;

/**
 * The first usable key among the TXT records of a name, else the problem of the first that looks like one. The strings
 * of a record are put together without anything between (RFC 6376 3.6.2.2).
 */
export function chooseKey(records: readonly (readonly string[])[]): KeyRecord | { readonly problem: string } {
  const read = records.slice(0, MAX_RECORDS).map((strings) => readKey(strings.join('')));
  return (
    read.find((key) => key !== undefined && !('problem' in key)) ??
    read.find((key) => key !== undefined) ?? { problem: 'no key record' }
  );
}

/** Undefined where the text is not about a key, as an SPF record that answers for every name below a domain. */
function readKey(record: string): KeyRecord | { readonly problem: string } | undefined {
  if (record.length > MAX_RECORD_LENGTH) return { problem: 'key record too long' };
  // People paste records with their quotes; upstream reads over them, and space may be anywhere in p=.
  const text = record.replace(/[\s"]/g, '');
  const tags = readTagList(text);
  if ('problem' in tags)
    return /(?:^|;)p=/.test(text) ? { problem: `key record: ${tags.problem}` } : undefined;
  const key = tags.get('p');
  if (key === undefined) return undefined;

  // v= may be missing, but must come first where it is there.
  if (tags.has('v') && (tags.get('v') !== 'DKIM1' || [...tags.keys()][0] !== 'v'))
    return { problem: 'unknown key version' };
  if (key === '') return { problem: 'key revoked' };
  const type = tags.get('k')?.toLowerCase() ?? 'rsa';
  if (type !== 'rsa' && type !== 'ed25519') return { problem: 'unknown key type' };
  // RFC 6376 6.1.2, step 6.
  if (tags.has('h') && !listOf(tags.get('h')).includes('sha256')) return { problem: 'key is not for sha256' };
  if (tags.has('s') && !listOf(tags.get('s')).some((service) => service === '*' || service === 'email'))
    return { problem: 'key is not for mail' };
  const flags = listOf(tags.get('t'));
  return { text, type, testing: flags.includes('y'), sameDomain: flags.includes('s') };
}

/** What the key has to say against a signature (RFC 6376 3.6.1, 6.1.2), undefined where nothing. */
export function keyProblem(key: KeyRecord, signature: Signature): string | undefined {
  if (key.type !== signature.keyType) return `key is for ${key.type}, signature is ${signature.keyType}`;
  // RFC 6376 3.6.1, t=y: "MUST NOT treat messages from Signers in testing mode differently from unsigned email".
  // Unsigned mail is refused here, so a signature that is being tested does not count either.
  if (key.testing) return 'key is for testing only';
  if (key.sameDomain && signature.identityDomain !== signature.domain)
    return 'i= is below d=, which the key forbids';
  return undefined;
}

function listOf(value: string | undefined): readonly string[] {
  return (value ?? '').toLowerCase().split(':').map(trimBlank);
}
