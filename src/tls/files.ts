import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { KeyPair } from './certificate.ts';

/** A file of tls_external_cert_and_key that cannot be used; the message names it and says what to do about it. */
export class BadCertificateFile extends Error {
  override name = 'BadCertificateFile';
}

/** What else `readKeyPair` looks at, where the caller wants to hear of it. */
export interface KeyPairChecks {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Names that clients will ask for. */
  readonly names: readonly string[];
  /** Gets a sentence for each thing that clients will not like but that does not keep us from serving. */
  readonly warn: (problem: string) => void;
}

/** A chain with key is some 10 KB; more is another file. */
const MAX_FILE = 1024 * 1024;

/**
 * Reads the two files of tls_external_cert_and_key (PEM; the certificate first, then its chain; one key without a
 * passphrase). Throws BadCertificateFile where they cannot be used; an expired certificate only warns: Delta Chat goes
 * on with a key that it has seen (client.md 1.8), and no mail server at all helps nobody.
 */
export async function readKeyPair(
  certFile: string,
  keyFile: string,
  checks?: KeyPairChecks,
): Promise<KeyPair> {
  const pair = { cert: await read(certFile), key: await read(keyFile) };
  if (!CERTIFICATE.test(pair.cert) && PRIVATE_KEY.test(pair.cert) && CERTIFICATE.test(pair.key)) {
    throw new BadCertificateFile(
      `${certFile} holds a key and ${keyFile} a certificate: tls_external_cert_and_key names the certificate first`,
    );
  }
  const [certificate, above] = chainOf(pair.cert, certFile);
  const key = keyOf(pair.key, keyFile);
  if (!certificate.checkPrivateKey(key)) {
    throw new BadCertificateFile(
      `the key in ${keyFile} does not belong to the first certificate in ${certFile}; ` +
        'the server’s own certificate must come first, its chain after it',
    );
  }
  if (checks !== undefined) warn(certificate, above, certFile, checks);
  return pair;
}

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/;
const WITH_PASSPHRASE = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

async function read(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    if (size > MAX_FILE)
      throw new BadCertificateFile(`${path} is too big for a certificate or key (${size} bytes)`);
    return await file.readFile('latin1');
  } catch (error) {
    if (error instanceof BadCertificateFile) throw error;
    throw new BadCertificateFile(`tls_external_cert_and_key: ${path} ${whyUnreadable(error)}`, {
      cause: error,
    });
  }
}

function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES') return 'may not be read by the user that Teal runs as';
  if (code === 'EISDIR') return 'is a directory';
  return `cannot be read: ${String(code ?? error)}`;
}

/** The first certificate, and the one after it; all must be readable, or the TLS server would not take them. */
function chainOf(pem: string, path: string): readonly [X509Certificate, X509Certificate | undefined] {
  const [own, ...chain] = pem.split(/(?=-----BEGIN )/).filter((block) => CERTIFICATE.test(block));
  if (own === undefined) throw new BadCertificateFile(`${path} holds no certificate in PEM form`);
  const parse = (block: string, nth: number) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new BadCertificateFile(`certificate ${nth} in ${path} is damaged`, { cause: error });
    }
  };
  const first = parse(own, 1);
  return [first, chain.map((block, place) => parse(block, place + 2))[0]];
}

function keyOf(pem: string, path: string): KeyObject {
  if (WITH_PASSPHRASE.test(pem)) {
    throw new BadCertificateFile(
      `the key in ${path} has a passphrase; nobody is there to type it: remove it`,
    );
  }
  if (!PRIVATE_KEY.test(pem)) throw new BadCertificateFile(`${path} holds no private key in PEM form`);
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new BadCertificateFile(`the private key in ${path} is damaged`, { cause: error });
  }
}

function warn(
  certificate: X509Certificate,
  above: X509Certificate | undefined,
  path: string,
  { now, names, warn: tell }: KeyPairChecks,
): void {
  // Browsers often find the missing certificate by themselves; Delta Chat and mail servers do not.
  if (!certificate.checkIssued(above ?? certificate))
    tell(
      above === undefined
        ? `${path} holds the certificate without the chain of its authority: name the full chain (fullchain.pem)`
        : `the second certificate in ${path} is not the one that issued the first: the chain is not in order`,
    );
  const { validFromDate: from, validToDate: to } = certificate;
  if (to.getTime() <= now) tell(`the certificate in ${path} expired at ${to.toISOString()}`);
  if (from.getTime() > now) tell(`the certificate in ${path} is not valid before ${from.toISOString()}`);
  for (const name of names) {
    if ((isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) === undefined)
      tell(`the certificate in ${path} is not for ${name}`);
  }
}
