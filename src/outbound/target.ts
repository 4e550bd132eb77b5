import type { ConnectionOptions } from 'node:tls';

/** A host that takes mail for a destination, and what TLS to it must be like. */
export interface Target {
  /** Its name, or an address without brackets. */
  readonly host: string;
  readonly tls: ConnectionOptions;
  /**
   * Connections are used again under the same key alone: one whose certificate was not verified, for a destination that
   * needs none, must not carry the mail of another.
   */
  readonly key: string;
}

export function targetOf(host: string, tls: ConnectionOptions): Target {
  return { host, tls, key: `${host} ${tls.rejectUnauthorized === false ? 'unverified' : 'verified'}` };
}
