import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Clock, Random } from './clock.ts';
import { isPublicAddress } from './dns/public-address.ts';
import type { Settings } from './settings/table.ts';

/** A delay that node keeps in 32 bits; the longest waits of ours are hours. */
const MAX_DELAY = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, Math.min(ms, MAX_DELAY)).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = (bytes) => randomBytes(bytes);

/** A port cannot be bound; the message names its setting and says what to do. */
export class PortUnavailable extends Error {
  override name = 'PortUnavailable';
}

/** What binding a port failed of, in words where we have some. `key` is its setting. */
export function portUnavailable(key: string, port: number, host: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') return new PortUnavailable(`port ${port} (${key}) is taken by another program`);
  if (code === 'EACCES') {
    return new PortUnavailable(
      `port ${port} (${key}) may not be bound by this user: run as one who may, or give node CAP_NET_BIND_SERVICE`,
    );
  }
  if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') {
    const setting = key === 'metrics_port' ? 'metrics_address' : 'listen_address';
    return new PortUnavailable(`${setting} ${host} is not an address of this machine`);
  }
  return error;
}

/** What clients may call us: a relay that is tried out is reached by its address, too. */
export function namesOf({ listen_address }: Settings, mailDomain: string): string[] {
  return [mailDomain, 'localhost', '127.0.0.1', ...(listen_address === undefined ? [] : [listen_address])];
}

/** Under which others may know this machine; behind NAT it has more, which it cannot see. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

/**
 * Those of the machine's addresses at which the relay of these settings can be reached. Where it listens at a private
 * one, something of this machine or in front of it passes connections on: all of them.
 */
export function listenedAddresses(
  { listen_address: only, disable_ipv6 }: Pick<Settings, 'listen_address' | 'disable_ipv6'>,
  own: readonly string[] = ownAddresses(),
): readonly string[] {
  if (only === '0.0.0.0' || (only === undefined && disable_ipv6)) return own.filter((one) => isIPv4(one));
  return only !== undefined && isPublicAddress(only) ? [only] : own;
}

/** listen_address, or every address there is: `::` takes IPv4 too, but not where the machine has no IPv6. */
export function hostOf({ listen_address, disable_ipv6 }: Settings): string {
  if (listen_address !== undefined) return listen_address;
  const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ family }) => family === 'IPv6'),
  );
  return hasIpv6 && !disable_ipv6 ? '::' : '0.0.0.0';
}
