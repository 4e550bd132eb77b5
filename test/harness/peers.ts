import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cores, withoutCore } from './delta-chat.ts';
import type { CoreVersion } from './delta-chat.ts';

/** Programs of others that tests talk to. `.ci/run` installs them all; `npm test` alone goes without. */
const programs = {
  'python3-dkim': () => spawnSync('python3', ['-c', 'import dkim'], { env: systemPython() }).status === 0,
  opendkim: () => existsSync('/usr/sbin/opendkim'),
  // It changes its user, so only root can start it.
  'postfix (as root)': () => process.getuid?.() === 0 && existsSync('/usr/sbin/postfix'),
  haproxy: () => existsSync('/usr/sbin/haproxy'),
  swaks: () => existsSync('/usr/bin/swaks'),
  mbsync: () => existsSync('/usr/bin/mbsync'),
  'MongoDB and Redis (MONGODB_URL, REDIS_URL)': () =>
    Boolean(process.env['MONGODB_URL'] && process.env['REDIS_URL']) &&
    existsSync(new URL('../../node_modules/wildduck', import.meta.url)),
  'named-checkzone': () => existsSync('/usr/bin/named-checkzone'),
  unbound: () => existsSync('/usr/sbin/unbound') && existsSync('/usr/bin/dnssec-signzone'),
  zbarimg: () => existsSync('/usr/bin/zbarimg'),
  pebble: () => existsSync('/usr/bin/pebble'),
};
export type Peer = keyof typeof programs;

/** Debian's python3 sees Debian's modules; one that a person put in front of it on the PATH does not. */
export function systemPython(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `/usr/bin:/bin:${process.env['PATH'] ?? ''}` };
}

const found = new Map<Peer, boolean>();

/** For `{ skip }` of a test: false where the peer is installed, else the line that names it as left out. */
export function without(peer: Peer): string | false {
  const here = found.get(peer) ?? programs[peer]();
  found.set(peer, here);
  return here ? false : `peer left out: ${peer}`;
}

/** A line for every peer that is not installed. */
export function leftOut(): string[] {
  return [
    ...(Object.keys(cores) as CoreVersion[]).map(withoutCore),
    ...(Object.keys(programs) as Peer[]).map(without),
  ].filter((line) => line !== false);
}
