import { connect } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import type { AddressResolver } from '../dns/resolver.ts';

/** Where a port of a host really is; a test puts a map in its place, so that no test needs port 25. */
export type Dialler = (host: string, port: number) => { readonly host: string; readonly port: number };

/** Connects to `host` (a name, or an address without brackets). Rejects when that fails or `signal` is aborted. */
export type Dial = (host: string, port: number, signal: AbortSignal) => Promise<Socket>;

/** Milliseconds an address has before the next one is tried beside it (RFC 8305 5: 250). */
const NEXT_ADDRESS = 250;
/** Addresses of one host that are tried. */
const MAX_ADDRESSES = 8;

/** Addresses come from `addresses` and are tried in turn, IPv6 and IPv4 by turns (RFC 8305). */
export function createDial(dialler: Dialler, resolver: AddressResolver): Dial {
  // Node calls it for names alone.
  const lookup: LookupFunction = (hostname, _options, done) => {
    resolver.addresses(hostname).then(
      (found) =>
        done(
          null,
          found
            .slice(0, MAX_ADDRESSES)
            .map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        ),
      (error: NodeJS.ErrnoException) => done(error, []),
    );
  };
  return (host, port, signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({
        ...dialler(host, port),
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
