import { rootCertificates } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { literalAddress } from './route.ts';

export interface TlsPolicyParts {
  /** Destinations whose certificate need not be valid (the setting tls_unverified_domains), in lower case. */
  readonly unverifiedDomains: readonly string[];
  /** PEM: roots that count beside those of Node; for tests. */
  readonly trustedCa: string | undefined;
}

/** What TLS to a host must be like, for mail to `destination`. */
export type TlsPolicy = (destination: string, host: string) => ConnectionOptions;

/**
 * TLS 1.2 at least, and a certificate for the host's own name (upstream's rule, relay.md 3; RFC 8461 4.1 asks for the
 * same). Not verified, though encrypted: names that start with `_` and address literals, which no authority knows, and
 * what the operator lists.
 */
export function createTlsPolicy({ unverifiedDomains, trustedCa }: TlsPolicyParts): TlsPolicy {
  const unverified = new Set(unverifiedDomains);
  const ca = trustedCa === undefined ? undefined : [...rootCertificates, trustedCa];
  return (destination, host) => ({
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !isUnverified(destination, unverified),
    // An address is no server name (RFC 6066 3).
    ...(literalAddress(destination) === undefined ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
  });
}

function isUnverified(destination: string, listed: ReadonlySet<string>): boolean {
  return destination.startsWith('_') || destination.startsWith('[') || listed.has(destination);
}
