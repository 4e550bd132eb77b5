import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** Reads a small text file whole; throws where there is none. */
export type ReadText = (path: string) => string;

/** What the control groups of this process leave it (cgroups(7)); each reading is some microseconds. */
export interface Cgroup {
  /**
   * Bytes that may still be used under the tightest limit of its group and of those above; Infinity without a limit.
   * Files in the page cache count as free, as in MemAvailable: the kernel drops them before it kills anybody. A
   * database that is read a lot would else look like a full memory.
   */
  memoryLeft(): number;
  /**
   * The share of the last minute, 0 to 1, in which something in the group waited for a CPU or a disk (Documentation/
   * accounting/psi.rst: `some avg60`); undefined where the kernel does not say.
   */
  pressure(): number | undefined;
}

/** Where Linux shows the groups; systemd, Docker and Podman mount them there. */
const ROOT = '/sys/fs/cgroup';
/** Groups above ours that are looked at. */
const MAX_DEPTH = 16;
/** Version 1 writes "no limit" as the largest multiple of a page; nobody has so much. */
const NO_LIMIT = 2 ** 60;

const readText: ReadText = (path) => readFileSync(path, 'utf8');

/** Finds the groups of this process once; where there are none, nothing is limited. */
export function findCgroup(read: ReadText = readText): Cgroup {
  const own = parseMembership(attempt(() => read('/proc/self/cgroup')) ?? '');
  const unified = own.unified === undefined ? [] : placesOf(ROOT, own.unified);
  const memoryV1 = own.memory === undefined ? [] : placesOf(`${ROOT}/memory`, own.memory);
  return {
    memoryLeft: () =>
      Math.min(
        ...unified.map((place) => attempt(() => leftV2(place, read)) ?? Infinity),
        ...memoryV1.map((place) => attempt(() => leftV1(place, read)) ?? Infinity),
      ),
    pressure: () => {
      const [place] = unified;
      const all = ['cpu.pressure', 'io.pressure'].map((file) =>
        place === undefined ? undefined : attempt(() => parsePressure(read(`${place}/${file}`))),
      );
      const known = all.filter((one) => one !== undefined);
      return known.length === all.length ? Math.max(...known) : undefined;
    },
  };
}

/** `/proc/self/cgroup`: `hierarchy:controllers:path`, version 2 as hierarchy 0 without controllers. */
export function parseMembership(text: string): { unified?: string; memory?: string } {
  const found: { unified?: string; memory?: string } = {};
  for (const line of text.split('\n')) {
    const [hierarchy, controllers, ...path] = line.split(':');
    if (path.length === 0) continue;
    if (hierarchy === '0' && controllers === '') found.unified = path.join(':');
    if (controllers?.split(',').includes('memory')) found.memory = path.join(':');
  }
  return found;
}

/** The directory of a group and of those above it, its own first; within a container the mount begins at its own. */
function placesOf(root: string, path: string): string[] {
  const places: string[] = [];
  for (let at = posix.normalize(path); places.length < MAX_DEPTH; at = posix.dirname(at)) {
    places.push(at === '/' ? root : `${root}${at}`);
    if (at === '/' || at === '.') break;
  }
  return places;
}

function leftV2(place: string, read: ReadText): number {
  const limit = Math.min(
    ...['memory.max', 'memory.high'].map((file) => parseLimit(attempt(() => read(`${place}/${file}`)))),
  );
  if (limit === Infinity) return Infinity;
  return left(
    limit,
    Number(read(`${place}/memory.current`)),
    parseStat(read(`${place}/memory.stat`), 'inactive_file'),
  );
}

function leftV1(place: string, read: ReadText): number {
  const limit = parseLimit(read(`${place}/memory.limit_in_bytes`));
  if (limit === Infinity) return Infinity;
  return left(
    limit,
    Number(read(`${place}/memory.usage_in_bytes`)),
    parseStat(read(`${place}/memory.stat`), 'total_inactive_file'),
  );
}

function left(limit: number, used: number, cached: number): number {
  const bytes = limit - Math.max(0, used - cached);
  return Number.isFinite(bytes) ? Math.max(0, bytes) : Infinity;
}

/** `max`, or bytes. */
function parseLimit(text: string | undefined): number {
  const trimmed = text?.trim() ?? '';
  const bytes = /^\d+$/.test(trimmed) ? Number(trimmed) : Infinity;
  return bytes >= NO_LIMIT ? Infinity : bytes;
}

/** Lines of `name value`; 0 where the name is not there. */
export function parseStat(text: string, name: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}

/** `some avg10=0.00 avg60=12.50 avg300=… total=…`, as a share; undefined where it cannot be read. */
export function parsePressure(text: string): number | undefined {
  const share = /^some .*\bavg60=([\d.]+)/m.exec(text)?.[1];
  return share === undefined ? undefined : Number(share) / 100;
}

/** What is not there, or is not ours to read, limits nothing. */
function attempt<Result>(task: () => Result): Result | undefined {
  try {
    return task();
  } catch {
    return undefined;
  }
}
