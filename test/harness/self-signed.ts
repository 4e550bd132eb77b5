import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { KeyPair } from '../../src/tls/certificate.ts';

/** A fresh P-256 key with a certificate of its own for `name`, good for a day around now. */
export function selfSigned(name = '_teal.test'): Promise<KeyPair> {
  return issue(name);
}

/** What is unlike the usual in a certificate. */
export interface Peculiar {
  /** An authority: others' certificates count by it. */
  readonly ca?: boolean;
  /** Until when it is good, in milliseconds; it was good for two days. */
  readonly notAfter?: number;
}

/** The same, with a certificate that `by` has signed. */
export async function issue(name: string, by?: KeyPair, peculiar: Peculiar = {}): Promise<KeyPair> {
  x509.cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const day = 24 * 3600 * 1000;
  const notAfter = peculiar.notAfter ?? Date.now() + day;
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: by === undefined ? `CN=${name}` : new x509.X509Certificate(by.cert).subject,
    publicKey: keys.publicKey,
    signingKey: by === undefined ? keys.privateKey : await signingKeyOf(by),
    notBefore: new Date(notAfter - 2 * day),
    notAfter: new Date(notAfter),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      ...(peculiar.ca ? [new x509.BasicConstraintsExtension(true, undefined, true)] : []),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${key.toString('base64')}\n-----END PRIVATE KEY-----\n`,
    cert: certificate.toString('pem'),
  };
}

function signingKeyOf({ key }: KeyPair): Promise<webcrypto.CryptoKey> {
  const bytes = Buffer.from(key.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', bytes, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}
