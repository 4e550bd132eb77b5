import { webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { KeyPair } from '../../src/tls/certificate.ts';

/** A certificate with its key, to serve with and to issue others with. */
export interface Issued {
  readonly certificate: X509Certificate;
  readonly pair: KeyPair;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly algorithm: Algorithm;
}

type Algorithm = keyof typeof ALGORITHMS;

export interface Wish {
  /** Its subject, and the name it is for where it is no authority. */
  readonly name: string;
  /** Who signs it; itself when left out. */
  readonly by?: Issued;
  readonly authority?: boolean;
  readonly pathLength?: number;
  readonly notAfter?: Date;
  readonly extensions?: readonly x509.Extension[];
  readonly algorithm?: Algorithm;
}

const day = 24 * 3600 * 1000;
const ALGORITHMS = {
  ECDSA: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  RSA: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
  Ed25519: { name: 'Ed25519' },
} as const;

/** Makes a certificate as a test wants it: for chains that no authority would issue. */
export async function makeCertificate(wish: Wish): Promise<Issued> {
  x509.cryptoProvider.set(webcrypto);
  const { name, by, authority = false, pathLength, extensions = [] } = wish;
  const { algorithm = 'ECDSA' } = wish;
  const keys = (await webcrypto.subtle.generateKey(ALGORITHMS[algorithm], true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const made = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: by === undefined ? `CN=${name}` : by.certificate.subject.replaceAll('\n', ', '),
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    notBefore: new Date(Date.now() - 2 * day),
    notAfter: wish.notAfter ?? new Date(Date.now() + day),
    signingAlgorithm: ALGORITHMS[by?.algorithm ?? algorithm],
    extensions: [
      ...(authority
        ? [new x509.BasicConstraintsExtension(true, pathLength, true)]
        : [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])]),
      ...extensions,
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate: new X509Certificate(Buffer.from(made.rawData)),
    pair: {
      key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
      cert: `${made.toString('pem')}\n`,
    },
    keys,
    algorithm,
  };
}
