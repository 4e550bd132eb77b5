import { X509Certificate, createPrivateKey } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** A certificate and its private key. */
export interface KeyPair {
  /** PEM, one private key. */
  readonly key: string;
  /** PEM, the certificate first, then the chain above it. */
  readonly cert: string;
}

/** The one certificate that all listeners share; it can be swapped while they serve. */
export interface Certificate {
  /** The pair in use now. */
  readonly pair: KeyPair;
  /**
   * Puts another pair in place and tells every listener in the same tick. Throws, and keeps the old pair, when key and
   * certificate cannot be read or do not fit. A listener that throws does not keep it from the others; its error is
   * thrown afterwards.
   */
  replace(pair: KeyPair): void;
  /** Calls `listener` with each new pair until the returned function is called; twice is harmless. */
  onReplace(listener: (pair: KeyPair) => void): () => void;
}

/** Throws when key and certificate cannot be read or do not fit, with OpenSSL's words. */
export function createCertificate(initial: KeyPair): Certificate {
  const listeners = new Set<{ readonly hear: (pair: KeyPair) => void }>();
  assertUsable(initial);
  let current = initial;

  return {
    get pair() {
      return current;
    },
    replace(pair) {
      assertUsable(pair);
      current = pair;
      const errors: unknown[] = [];
      for (const listener of [...listeners]) {
        if (!listeners.has(listener)) continue;
        try {
          listener.hear(pair);
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length > 0)
        throw new AggregateError(errors, 'a listener could not take the new certificate');
    },
    onReplace(hear) {
      const listener = { hear };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** Whether somebody else vouches for the certificate; what signed itself is nothing to a client that checks in earnest. */
export function isPublic({ cert }: KeyPair): boolean {
  const { issuer, subject } = new X509Certificate(cert);
  return issuer !== subject;
}

/** What a TLS server would do with the pair; a pair that it could not use must never reach one that is serving. */
function assertUsable({ key, cert }: KeyPair): void {
  // The context alone would take an empty text for "none given".
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error('the key does not belong to the certificate');
  }
  createSecureContext({ key, cert });
}
