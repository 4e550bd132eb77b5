import { X509Certificate, createPrivateKey, webcrypto } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { day } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { KeyPair } from './certificate.ts';

export interface SelfSignedOptions {
  /** `<data_dir>/tls`; made if need be, for us alone. */
  readonly directory: string;
  /** Names and addresses that clients may call us by; the first is the subject. `[1.2.3.4]` is taken as the address. */
  readonly names: readonly string[];
  readonly clock: Clock;
}

/** Nobody renews it by hand, and who accepts it at all does not look at the date. */
const LIFE = 3650 * day;
/** Clocks of clients may be behind. */
const BACKDATED = day;
/** A certificate with less than this left is made anew at the start. */
const RENEWED_BEFORE = 30 * day;
/** Key and certificate in one file: one rename changes both. */
const FILE = 'self-signed.pem';

/**
 * The self-signed certificate of this relay: the one that is kept, or a new one where there is none, the names have
 * changed or it is about to expire. The key stays the same as long as it can be read: Delta Chat remembers it
 * (client.md 1.8). For the trial, bare addresses and names that start with `_`, whose chain Delta Chat does not check.
 */
export async function keepSelfSigned({ directory, names, clock }: SelfSignedOptions): Promise<KeyPair> {
  const path = join(directory, FILE);
  const wanted = [...new Set(names.map(withoutBrackets))];
  const kept = await load(path);
  if (kept !== undefined && isGood(kept, wanted, clock.now())) return kept.pair;
  const pair = await make(wanted, clock.now(), kept?.key);
  await keep(path, pair);
  return pair;
}

interface Kept {
  readonly pair: KeyPair;
  readonly key: KeyObject;
  readonly certificate: X509Certificate | undefined;
}

/** What the file holds; undefined where there is no file or no usable key in it. Rejects where it may not be read. */
async function load(path: string): Promise<Kept | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const key = attempt(() => createPrivateKey(text));
  if (key?.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined;
  const certificate = attempt(() => new X509Certificate(text));
  return { pair: pairOf(text), key, certificate };
}

function isGood({ certificate, key }: Kept, names: readonly string[], now: number): boolean {
  if (certificate === undefined || !certificate.checkPrivateKey(key)) return false;
  if (certificate.validToDate.getTime() - now < RENEWED_BEFORE) return false;
  const has = (name: string) =>
    (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name, { wildcards: false })) !==
    undefined;
  const count = certificate.subjectAltName?.split(', ').length ?? 0;
  return count === names.length && names.every(has);
}

/** P-256: every client has it, and a handshake costs us a tenth of RSA's. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

async function make(names: readonly string[], now: number, oldKey: KeyObject | undefined): Promise<KeyPair> {
  // Loaded only here: it takes 100 ms, and most starts find a certificate.
  const x509 = await import('@peculiar/x509');
  const keys = oldKey === undefined ? await newKeys() : await keysOf(oldKey);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      // RFC 5280 A.1, ub-common-name: 64. Clients look at the alternative names.
      name: [{ CN: [(names[0] ?? 'Teal').slice(0, 64)] }],
      notBefore: new Date(now - BACKDATED),
      notAfter: new Date(now + LIFE),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        // No CA: who trusts it trusts this relay, and nobody that its key might vouch for.
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) ? ('ip' as const) : ('dns' as const), value: name })),
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { key: pem('PRIVATE KEY', key), cert: pem('CERTIFICATE', Buffer.from(certificate.rawData)) };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function keysOf(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const { d: _secret, ...open } = key.export({ format: 'jwk' });
  return {
    privateKey: key.toCryptoKey(ALGORITHM, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('jwk', open, ALGORITHM, true, ['verify']),
  };
}

/** Written beside, made durable, then put in place: whoever reads finds the old file or the new one, whole. */
async function keep(path: string, { key, cert }: KeyPair): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const beside = `${path}.new`;
  {
    await using file = await open(beside, 'w', 0o600);
    // The mode above is only for a new file; one may have been left by a crash.
    await file.chmod(0o600);
    await file.writeFile(key + cert);
    await file.sync();
  }
  await rename(beside, path);
}

function pairOf(text: string): KeyPair {
  const block = (label: string) =>
    new RegExp(`-----BEGIN ${label}-----[^]*?-----END ${label}-----`).exec(text)?.[0] ?? '';
  return { key: `${block('PRIVATE KEY')}\n`, cert: `${block('CERTIFICATE')}\n` };
}

/** RFC 7468: lines of 64 characters. */
function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** RFC 5321 4.1.3: a domain that is an address stands in brackets, an IPv6 one with its tag. */
function withoutBrackets(name: string): string {
  return /^\[(?:IPv6:)?(.*)\]$/i.exec(name)?.[1] ?? name;
}

function attempt<Value>(make: () => Value): Value | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
