import { createHash, createPublicKey } from 'node:crypto';
import type { KeyPair } from './certificate.ts';
import type { SharedValues } from './lease.ts';

/** What the listeners on 80 and 443 ask when a certificate authority knocks. */
export interface Challenges {
  /** RFC 8555 8.3: the body for `/.well-known/acme-challenge/<token>`; undefined where the token cannot be one. */
  readonly http: (token: string) => string | undefined;
  /**
   * RFC 8737: the certificate for a handshake whose only ALPN is `acme-tls/1`; undefined where none is expected. Rejects
   * as the store does.
   */
  readonly alpn: (servername: string) => Promise<KeyPair | undefined>;
}

/** Challenges whose answers can be given out and taken back while an order runs. */
export interface OpenChallenges extends Challenges {
  /** What a challenge with this token wants to see (RFC 8555 8.1). */
  keyAuthorization(token: string): string;
  /**
   * From when it resolves, every process of the relay shows `pair` for TLS-ALPN-01 to whoever asks for `identifier`,
   * until the returned function is called.
   */
  show(identifier: string, pair: KeyPair): Promise<() => Promise<void>>;
}

/** RFC 8555 8.3: base64url. Authorities use 43 characters; much longer ones are no tokens. */
const TOKEN = /^[\w-]{16,256}$/;
/** Of the shared values: what is shown now, by name. One process orders at a time (acme.ts), so it is one's to write. */
const SHOWN = 'acme.tls-alpn';

/**
 * The challenges of an ACME account, by its P-256 key (PEM). HTTP-01 is answered without any state: the answer is the
 * token and the thumbprint of the account's key, so that every process that knows the key answers for the one that
 * ordered, and whoever asks for a token of his own learns nothing but a public thumbprint. For TLS-ALPN-01 a process
 * reads what the one that orders has written; however many ask at once, there is one read at a time.
 */
export function createChallenges(
  accountKey: string,
  values: Pick<SharedValues, 'get' | 'set'>,
): OpenChallenges {
  const thumbprint = thumbprintOf(accountKey);
  const shown = new Map<string, KeyPair>();
  const keyAuthorization = (token: string) => `${token}.${thumbprint}`;
  const share = () => values.set(SHOWN, JSON.stringify(Object.fromEntries(shown)));

  let reading: Promise<ReadonlyMap<string, KeyPair>> | undefined;
  const shownByAnother = () =>
    (reading ??= values
      .get(SHOWN)
      .then(readShown)
      .finally(() => {
        reading = undefined;
      }));

  return {
    keyAuthorization,
    http: (token) => (TOKEN.test(token) ? keyAuthorization(token) : undefined),
    async alpn(servername) {
      const name = servername.toLowerCase();
      return shown.get(name) ?? (await shownByAnother()).get(name);
    },
    async show(identifier, pair) {
      const name = serverNameOf(identifier);
      shown.set(name, pair);
      await share();
      return async () => {
        if (shown.get(name) !== pair) return;
        shown.delete(name);
        await share();
      };
    },
  };
}

/** What another version has written in another form counts as nothing. */
function readShown(text: string | undefined): ReadonlyMap<string, KeyPair> {
  const shown = new Map<string, KeyPair>();
  const written: unknown = text === undefined ? undefined : JSON.parse(text);
  if (typeof written !== 'object' || written === null) return shown;
  for (const [name, pair] of Object.entries(written) as [string, Partial<KeyPair> | null][])
    if (typeof pair?.key === 'string' && typeof pair.cert === 'string')
      shown.set(name, { key: pair.key, cert: pair.cert });
  return shown;
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
