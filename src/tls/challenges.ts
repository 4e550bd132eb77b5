import { createHash, createPublicKey } from 'node:crypto';
import type { KeyPair } from './certificate.ts';

/** What the listeners on 80 and 443 ask when a certificate authority knocks. Pure look-ups: no IO, no waiting. */
export interface Challenges {
  /** RFC 8555 8.3: the body for `/.well-known/acme-challenge/<token>`; undefined where the token cannot be one. */
  readonly http: (token: string) => string | undefined;
  /** RFC 8737: the certificate for a handshake whose only ALPN is `acme-tls/1`; undefined where none is expected. */
  readonly alpn: (servername: string) => KeyPair | undefined;
}

/** Challenges whose answers can be given out and taken back while an order runs. */
export interface OpenChallenges extends Challenges {
  /** What a challenge with this token wants to see (RFC 8555 8.1). */
  keyAuthorization(token: string): string;
  /** Shows `pair` for TLS-ALPN-01 to whoever asks for `identifier` until the returned function is called. */
  show(identifier: string, pair: KeyPair): () => void;
}

/** RFC 8555 8.3: base64url. Authorities use 43 characters; much longer ones are no tokens. */
const TOKEN = /^[\w-]{16,256}$/;

/**
 * The challenges of an ACME account, by its P-256 key (PEM). HTTP-01 is answered without any state: the answer is the
 * token and the thumbprint of the account's key, so that every process that knows the key answers for the one that
 * ordered, and whoever asks for a token of his own learns nothing but a public thumbprint.
 */
export function createChallenges(accountKey: string): OpenChallenges {
  const thumbprint = thumbprintOf(accountKey);
  const shown = new Map<string, KeyPair>();
  const keyAuthorization = (token: string) => `${token}.${thumbprint}`;
  return {
    keyAuthorization,
    http: (token) => (TOKEN.test(token) ? keyAuthorization(token) : undefined),
    alpn: (servername) => shown.get(servername.toLowerCase()),
    show(identifier, pair) {
      const name = serverNameOf(identifier);
      shown.set(name, pair);
      return () => {
        if (shown.get(name) === pair) shown.delete(name);
      };
    },
  };
}

/** RFC 7638 3.2: these members, in this order. */
function thumbprintOf(accountKey: string): string {
  const { crv, kty, x, y } = createPublicKey(accountKey).export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** RFC 8738 6: an address has no place in SNI, so the authority asks for its name in the reverse zone. */
function serverNameOf(identifier: string): string {
  return /^\d+(\.\d+){3}$/.test(identifier)
    ? `${identifier.split('.').reverse().join('.')}.in-addr.arpa`
    : identifier.toLowerCase();
}
