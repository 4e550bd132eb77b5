import { connect, isIPv4, isIPv6 } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import type { AddressResolver } from '../dns/resolver.ts';

/** Where a port of a host really is; a test puts a map in its place, so that no test needs port 25. */
export type Dialler = (host: string, port: number) => { readonly host: string; readonly port: number };

/** Connects to `host` (a name, or an address without brackets). Rejects when that fails or `signal` is aborted. */
export type Dial = (host: string, port: number, signal: AbortSignal) => Promise<Socket>;

/**
 * For a relay at a bare IPv4 address, whose mail counts from that very address (promise 6): connections come from there,
 * and never by IPv6.
 */
export interface Source {
  readonly address: string;
  /** Whether the machine has it itself; behind NAT it has not. */
  readonly bound: boolean;
}

/** Milliseconds an address has before the next one is tried beside it (RFC 8305 5: 250). */
const NEXT_ADDRESS = 250;
/** Addresses of one host that are tried. */
const MAX_ADDRESSES = 8;

/** Addresses come from `addresses` and are tried in turn, IPv6 and IPv4 by turns (RFC 8305). */
export function createDial(dialler: Dialler, resolver: AddressResolver, from?: Source): Dial {
  // Node calls it for names alone.
  const lookup: LookupFunction = (hostname, { all }, done) => {
    const answer = (found: readonly string[]) => {
      const addresses = (from ? found.filter((address) => isIPv4(address)) : found)
        .slice(0, MAX_ADDRESSES)
        .map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }));
      const [first] = addresses;
      if (first === undefined) done(new Error(`${hostname} has no IPv4 address`), []);
      // Where the local address is given, node wants one.
      else if (all) done(null, addresses);
      else done(null, first.address, first.family);
    };
    resolver.addresses(hostname).then(answer, (error: NodeJS.ErrnoException) => done(error, []));
  };
  return (host, port, signal) =>
    new Promise((resolve, reject) => {
      const place = dialler(host, port);
      const socket = connect({
        ...place,
        ...(from?.bound && !isIPv6(place.host) ? { localAddress: from.address } : {}),
        lookup,
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: NEXT_ADDRESS,
        noDelay: true,
        keepAlive: true,
      });
      const end = () => {
        signal.removeEventListener('abort', abort);
        socket.off('connect', connected);
        socket.off('error', failed);
      };
      const failed = (error: Error) => {
        end();
        socket.destroy();
        reject(error);
      };
      const connected = () => {
        end();
        resolve(socket);
      };
      const abort = () => failed(reasonOf(signal));
      socket.once('connect', connected);
      socket.once('error', failed);
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
    });
}

/** Why a signal was aborted, as an Error. */
export function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
