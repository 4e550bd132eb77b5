import { connect, isIP, isIPv4 } from 'node:net';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../clock.ts';
import type { AddressResolver } from '../dns/resolver.ts';
import { reasonOf, unlessAborted } from './deadline.ts';

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

export interface DialParts {
  readonly dialler: Dialler;
  readonly resolver: AddressResolver;
  readonly clock: Clock;
  readonly from?: Source | undefined;
  /** Node's, unless a test has another. */
  readonly connectTo?: typeof connect;
}

/** Milliseconds an address has before the next one is tried beside it (RFC 8305 5: 250). */
export const NEXT_ADDRESS = 250;
/** Addresses of one host that are tried. */
const MAX_ADDRESSES = 8;

/**
 * The addresses of a host are tried in turn, IPv6 and IPv4 by turns, each beside those before it, and the first that
 * stands is used (RFC 8305). Node's own way gives each up when the next one begins: a host far away whose other address
 * is dead is never reached by that.
 */
export function createDial({ dialler, resolver, clock, from, connectTo = connect }: DialParts): Dial {
  const addressesOf = async (host: string): Promise<readonly string[]> => {
    if (isIP(host) !== 0) return [host];
    const found = await resolver.addresses(host);
    const usable = from ? found.filter((address) => isIPv4(address)) : byTurns(found);
    if (usable.length === 0) throw new Error(`${host} has no IPv4 address`);
    return usable.slice(0, MAX_ADDRESSES);
  };
  const begin = (address: string, port: number): Socket =>
    connectTo({
      host: address,
      port,
      ...(from?.bound && isIPv4(address) ? { localAddress: from.address } : {}),
      noDelay: true,
      keepAlive: true,
    });
  return async (host, port, signal) => {
    const place = dialler(host, port);
    const addresses = await unlessAborted(signal, addressesOf(place.host));
    return race(addresses, (address) => begin(address, place.port), clock, signal);
  };
}

function race(
  addresses: readonly string[],
  begin: (address: string) => Socket,
  clock: Clock,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const waiting = [...addresses];
    const trying = new Set<Socket>();
    const errors: Error[] = [];
    let timer: Timer | undefined;

    const end = () => {
      timer?.[Symbol.dispose]();
      signal.removeEventListener('abort', abort);
      for (const socket of trying) socket.destroy();
    };
    const abort = () => {
      end();
      reject(reasonOf(signal));
    };
    const failed = (socket: Socket, error: Error) => {
      errors.push(error);
      trying.delete(socket);
      socket.destroy();
      if (waiting.length > 0) return next();
      if (trying.size > 0) return;
      end();
      reject(errors.length === 1 ? error : new AggregateError(errors));
    };
    const next = () => {
      timer?.[Symbol.dispose]();
      const address = waiting.shift();
      if (address === undefined) return;
      const socket = begin(address);
      trying.add(socket);
      const onError = (error: Error) => failed(socket, error);
      socket.once('error', onError);
      socket.once('connect', () => {
        trying.delete(socket);
        socket.off('error', onError);
        end();
        resolve(socket);
      });
      if (waiting.length > 0) timer = clock.after(NEXT_ADDRESS, next);
    };
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    else next();
  });
}

/** The families by turns, beginning with that of the first. */
function byTurns(addresses: readonly string[]): string[] {
  const [first = ''] = addresses;
  const same = addresses.filter((address) => isIPv4(address) === isIPv4(first));
  const other = addresses.filter((address) => isIPv4(address) !== isIPv4(first));
  return same.flatMap((address, n) => [address, ...other.slice(n, n + 1)]).concat(other.slice(same.length));
}
