import { readFileSync, statfsSync } from 'node:fs';
import { freemem, loadavg } from 'node:os';
import { findCgroup } from './cgroup.ts';
import type { Cgroup } from './cgroup.ts';

/** Limits of the machine past which no account is made (relay.md 1: max_load_1m, min_available_memory, min_free_disk_space). */
export interface BrakeLimits {
  /** Not scaled by the number of cores, as upstream. */
  readonly maxLoad1m: number;
  /** Bytes. */
  readonly minAvailableMemory: number;
  /** Bytes. */
  readonly minFreeDiskSpace: number;
}

/** What the machine says now. A reading that throws does not count: upstream ignores what it cannot read. */
export interface BrakeReadings {
  readonly load1m: () => number;
  /** The share of the last minute in which we waited for CPU or disk, 0 to 1; undefined where nobody knows. */
  readonly pressure: () => number | undefined;
  /** Bytes, within the limit of the container where there is one. */
  readonly availableMemory: () => number;
  /** Bytes that we may still write. */
  readonly freeDiskSpace: () => number;
}

/**
 * A load average is of the whole machine, also within a container. Where the kernel says that we ourselves hardly wait,
 * it is others' load, and nobody is turned away for it.
 */
const UNDISTURBED = 0.1;

/** For `createLogin`'s `mayCreate`: why no account should be made now; undefined where one can. */
export function createBrakes(limits: BrakeLimits, readings: BrakeReadings): () => string | undefined {
  return () => {
    const loaded = (read(readings.load1m) ?? 0) > limits.maxLoad1m;
    if (loaded && (read(readings.pressure) ?? 1) > UNDISTURBED) return 'the load is above max_load_1m';
    if ((read(readings.availableMemory) ?? Infinity) < limits.minAvailableMemory) {
      return 'the memory is below min_available_memory';
    }
    if ((read(readings.freeDiskSpace) ?? Infinity) < limits.minFreeDiskSpace) {
      return 'the disk is below min_free_disk_space';
    }
    return undefined;
  };
}

/**
 * The readings of this machine and of the control groups of this process, the disk's at `dataDir`; each takes some
 * microseconds. Not Node's availableMemory(): within a container it takes the page cache for used.
 */
export function machineReadings(dataDir: string, cgroup: Cgroup = findCgroup()): BrakeReadings {
  return {
    load1m: () => loadavg()[0] ?? 0,
    pressure: () => cgroup.pressure(),
    availableMemory: () => Math.min(memAvailable(), cgroup.memoryLeft()),
    freeDiskSpace: () => {
      const { bavail, bsize } = statfsSync(dataDir);
      return bavail * bsize;
    },
  };
}

/** What the machine could give without swapping (proc(5)); elsewhere than on Linux what is free. */
function memAvailable(): number {
  const kilobytes = /^MemAvailable: +(\d+) kB$/m.exec(readMeminfo())?.[1];
  return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024;
}

function readMeminfo(): string {
  try {
    return readFileSync('/proc/meminfo', 'utf8');
  } catch {
    return '';
  }
}

function read<Reading>(reading: () => Reading): Reading | undefined {
  try {
    return reading();
  } catch {
    return undefined;
  }
}
