import { createHash, createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { recordOf } from './record.ts';
import type { DkimRecord } from './record.ts';

/** Of the store's values, what the keys need (store/contract.ts has the promises). */
export interface KeyValues {
  get(key: string): Promise<string | undefined>;
  setOnce(key: string, value: string): Promise<string>;
  setIf(key: string, was: string | undefined, value: string): Promise<boolean>;
}

export type KeyType = 'rsa' | 'ed25519';

/** The selector of each key (the settings dkim_selector_rsa and dkim_selector_ed25519). */
export type Selectors = Readonly<Record<KeyType, string>>;

export interface SigningKey {
  readonly type: KeyType;
  readonly selector: string;
  readonly privateKey: KeyObject;
  /** Of the public half, so that it tells nothing; another for every key. */
  readonly fingerprint: string;
}

/** A key that is there and cannot be used; the message says which and why, and nothing of the key. */
export class UnusableKey extends Error {
  override name = 'UnusableKey';
}

/** RFC 8301 3.2: signers MUST use 1024 at least, SHOULD use 2048; RFC 6376 3.3.3: verifiers need take no more than 2048… */
export const MIN_RSA_BITS = 1024;
/** … but must validate up to 4096 (RFC 8301 3.2), whose record is at the limit of what DNS hosts take. */
export const MAX_RSA_BITS = 4096;
const NEW_RSA_BITS = 2048;

/** Made in this order, and their signatures stand in it. */
const TYPES = ['rsa', 'ed25519'] as const;

const generate = promisify(generateKeyPair);

/** Whether mail of `domain` is signed: there is no DNS name for the key of an address literal (relay.md 10). */
export function isSigned(domain: string): boolean {
  return !domain.startsWith('[');
}

/**
 * The keys that sign, from the store; each is made where there is none, and every process that asks meanwhile gets the
 * same. Takes 0.1 s when it makes them, off the main loop. Rejects with UnusableKey, and as the store does.
 */
export async function signingKeys(values: KeyValues, selectors: Selectors): Promise<readonly SigningKey[]> {
  return Promise.all(
    TYPES.map(async (type): Promise<SigningKey> => {
      const selector = selectors[type];
      const name = valueName(selector);
      const pem = (await values.get(name)) ?? (await values.setOnce(name, await newKey(type)));
      const privateKey = readPrivateKey(pem);
      if (typeof privateKey === 'string')
        throw new UnusableKey(`the DKIM key of selector ${selector}: ${privateKey}`);
      if (privateKey.asymmetricKeyType !== type)
        throw new UnusableKey(
          `the DKIM key of selector ${selector} is ${String(privateKey.asymmetricKeyType)}, and dkim_selector_${type} names it`,
        );
      return { type, selector, privateKey, fingerprint: fingerprintOf(privateKey) };
    }),
  );
}

/**
 * The TXT records of the keys that sign for `domain` (the address domain: lower case, or a literal, which has none).
 * Makes the keys where there are none, so that a zone can be written before the first start. For `teal dns` and
 * `teal dkim`. Rejects as `signingKeys`.
 */
export async function dkimRecords(
  values: KeyValues,
  domain: string,
  selectors: Selectors,
): Promise<readonly DkimRecord[]> {
  if (!isSigned(domain)) return [];
  const keys = await signingKeys(values, selectors);
  return keys.map(({ privateKey, selector }) => recordOf(privateKey, selector, domain));
}

/** The PEM (PKCS#8) kept under a selector, of whatever type; undefined where there is none. */
export function keptKey(values: Pick<KeyValues, 'get'>, selector: string): Promise<string | undefined> {
  return values.get(valueName(selector));
}

export type ImportOutcome =
  | { readonly kind: 'imported' | 'same'; readonly key: KeyObject }
  /** Another key is there, and nothing was changed. */
  | { readonly kind: 'taken' }
  | { readonly kind: 'unusable'; readonly problem: string };

/**
 * Puts a key of elsewhere under a selector: PEM, PKCS#1 as `opendkim-genkey` writes it or PKCS#8. Another key that is
 * there is lost only where `replace` says so.
 */
export async function importKey(
  values: KeyValues,
  selector: string,
  pem: string,
  replace: boolean,
): Promise<ImportOutcome> {
  const key = readPrivateKey(pem);
  if (typeof key === 'string') return { kind: 'unusable', problem: key };
  const text = pemOf(key);
  const there = await keptKey(values, selector);
  if (there === text) return { kind: 'same', key };
  if (there !== undefined && !replace) return { kind: 'taken' };
  return (await values.setIf(valueName(selector), there, text))
    ? { kind: 'imported', key }
    : { kind: 'taken' };
}

/** The private key in a PEM, or the problem in plain words. */
export function readPrivateKey(pem: string): KeyObject | string {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // OpenSSL's own words help nobody, and might repeat some of the text.
    return 'it is no private key in PEM, or it needs a passphrase';
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  if (key.asymmetricKeyType !== 'rsa') return `it is ${String(key.asymmetricKeyType)}, not RSA or Ed25519`;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS)
    return `it has ${bits} bits, and verifiers take ${MIN_RSA_BITS} to ${MAX_RSA_BITS}`;
  return key;
}

function valueName(selector: string): string {
  return `dkim-key:${selector}`;
}

async function newKey(type: KeyType): Promise<string> {
  const { privateKey } =
    type === 'rsa' ? await generate('rsa', { modulusLength: NEW_RSA_BITS }) : await generate('ed25519');
  return pemOf(privateKey);
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function fingerprintOf(privateKey: KeyObject): string {
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('base64url').slice(0, 16);
}
