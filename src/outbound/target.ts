import type { ConnectionOptions } from 'node:tls';
import type { Demand } from './dane.ts';
import type { SmtpTls } from './smtp-client.ts';

/** A host that takes mail for a destination, and what TLS to it must be like. */
export interface Target {
  /** Its name, or an address without brackets. */
  readonly host: string;
  readonly https: ToPort<ConnectionOptions>;
  readonly smtp: ToPort<SmtpTls>;
  /** 443 is not as good, see Demand. */
  readonly only25: boolean;
}

interface ToPort<Tls> {
  readonly tls: Tls;
  /**
   * Connections are used again under the same key alone: one whose certificate was not looked at as strictly, for a
   * destination that does not ask for it, must not carry the mail of another.
   */
  readonly key: string;
}

/** `tls`: what is demanded without DANE. */
export function targetOf(host: string, tls: ConnectionOptions, demand?: Demand): Target {
  const key = `${host} ${tls.rejectUnauthorized === false ? 'unverified' : 'verified'}`;
  return {
    host,
    https: { tls, key },
    smtp: { tls: demand?.handshake(tls) ?? tls, key: demand ? `${key} ${demand.key}` : key },
    only25: demand?.only25 ?? false,
  };
}
