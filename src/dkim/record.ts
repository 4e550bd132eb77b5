import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** A TXT record (RFC 6376 3.6.1). */
export interface DkimRecord {
  /** Without a dot at the end. */
  readonly name: string;
  /** The whole text; in the zone it is written as several strings (`stringsOf`). */
  readonly value: string;
}

/** RFC 1035 3.3: a character-string holds so many bytes. */
const MAX_STRING = 255;

/** Where a verifier looks for the key (RFC 6376 3.6.2.1). */
export function recordName(selector: string, domain: string): string {
  return `${selector}._domainkey.${domain}`;
}

/**
 * The record of a key, RSA or Ed25519; of an RSA key to the letter as upstream writes it, so that a relay that moves
 * here keeps its zone. `s=email`: for mail alone; `t=s`: not for names below the domain.
 */
export function recordOf(key: KeyObject, selector: string, domain: string): DkimRecord {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const value =
    key.asymmetricKeyType === 'ed25519'
      ? // RFC 8463 4.2: the 32 bytes of the key, without what SPKI puts before them.
        `v=DKIM1;k=ed25519;p=${der.subarray(-32).toString('base64')};s=email;t=s`
      : `v=DKIM1;k=rsa;p=${der.toString('base64')};s=email;t=s`;
  return { name: recordName(selector, domain), value };
}

/** A record's text cut into strings that fit; readers join them without anything between (RFC 6376 3.6.2.2). */
export function stringsOf(value: string): readonly string[] {
  return value.match(new RegExp(`.{1,${MAX_STRING}}`, 'gs')) ?? [''];
}
