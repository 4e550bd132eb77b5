import { minute, second } from '../../clock.ts';
import { bad, ok, warn } from './line.ts';
import type { Line } from './line.ts';

/** bin/teal.mjs and package.json bring this one or a later one. */
const NODE = [24, 15] as const;

export function judgeNode(version: string): Line {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fits = major > NODE[0] || (major === NODE[0] && minor >= NODE[1]);
  return fits ? ok('node', version) : bad('node', `${version}, and Teal needs ${NODE.join('.')} or later`);
}

const MIB = 1024 * 1024;
const inMib = (bytes: number) => `${Math.floor(bytes / MIB)} MB`;

/** Bytes; `free` is undefined where it cannot be read. */
export function judgeDisk(free: number | undefined, needed: number): Line {
  if (free === undefined)
    return warn('disk', 'the free space of data_dir cannot be read: it may not exist yet');
  if (free < needed)
    return bad('disk', `${inMib(free)} free, below min_free_disk_space (${inMib(needed)}): no new accounts`);
  return free < 2 * needed
    ? warn('disk', `${inMib(free)} free, close to min_free_disk_space (${inMib(needed)})`)
    : ok('disk', `${inMib(free)} free`);
}

/** Bytes; `available` is undefined where it cannot be read. */
export function judgeMemory(available: number | undefined, total: number, needed: number): Line {
  if (available === undefined) return warn('memory', 'what is available cannot be read here');
  const text = `${inMib(available)} of ${inMib(total)} available`;
  return available < needed
    ? warn('memory', `${text}, below min_available_memory (${inMib(needed)}): no new accounts`)
    : ok('memory', text);
}

/** Files that are no connections: the database, its readers, logs, modules; and connections to others. */
const OTHER_FILES = 500;
/** relay.ts: on 80 and 443 each. */
const WEB_CONNECTIONS = 2 * 2000;

export interface FileLimits {
  /** ulimit -n; undefined where the system does not tell. */
  readonly limit: number | undefined;
  /** Of the Teal that runs, or of this shell. */
  readonly of: 'Teal' | 'this shell';
}

export function judgeFiles(
  { limit, of }: FileLimits,
  settings: { readonly max_imap_connections: number; readonly max_smtp_connections: number },
): Line {
  if (limit === undefined) return warn('files', 'the limit of open files cannot be read here');
  const needed =
    settings.max_imap_connections + 3 * settings.max_smtp_connections + WEB_CONNECTIONS + OTHER_FILES;
  return limit >= needed
    ? ok('files', `${of} may open ${limit}`)
    : warn(
        'files',
        `${of} may open ${limit}, and ${needed} are needed when max_imap_connections and max_smtp_connections are used up: raise ulimit -n (LimitNOFILE)`,
      );
}

/** The header has whole seconds, and the answer takes its time. */
const SMALL = 10 * second;
/** What tokens, certificates and signatures with a date put up with. */
const LARGE = 5 * minute;

/** Milliseconds by which our clock is ahead of others; undefined where nobody could be asked. */
export function judgeClock(ahead: number | undefined, asked: string): Line {
  if (ahead === undefined) return warn('clock', `nobody to compare with: ${asked} did not answer`);
  const text = `${Math.abs(Math.round(ahead / second))} s ${ahead < 0 ? 'behind' : 'ahead of'} ${asked}`;
  if (Math.abs(ahead) >= LARGE) return bad('clock', `${text}: set it, and keep it set by NTP`);
  return Math.abs(ahead) >= SMALL ? warn('clock', `${text}: keep it set by NTP`) : ok('clock', text);
}
