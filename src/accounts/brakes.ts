import { statfsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { availableMemory } from 'node:process';

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
  /** Bytes, within the limit of the container where there is one. */
  readonly availableMemory: () => number;
  /** Bytes that we may still write. */
  readonly freeDiskSpace: () => number;
}

/** For `createLogin`'s `mayCreate`: why no account should be made now; undefined where one can. */
export function createBrakes(limits: BrakeLimits, readings: BrakeReadings): () => string | undefined {
  return () => {
    if ((read(readings.load1m) ?? 0) > limits.maxLoad1m) return 'the load is above max_load_1m';
    if ((read(readings.availableMemory) ?? Infinity) < limits.minAvailableMemory) {
      return 'the memory is below min_available_memory';
    }
    if ((read(readings.freeDiskSpace) ?? Infinity) < limits.minFreeDiskSpace) {
      return 'the disk is below min_free_disk_space';
    }
    return undefined;
  };
}

/** The readings of this machine, the disk's at `dataDir`; each takes some microseconds. */
export function machineReadings(dataDir: string): BrakeReadings {
  return {
    load1m: () => loadavg()[0] ?? 0,
    availableMemory,
    freeDiskSpace: () => {
      const { bavail, bsize } = statfsSync(dataDir);
      return bavail * bsize;
    },
  };
}

function read(reading: () => number): number | undefined {
  try {
    return reading();
  } catch {
    return undefined;
  }
}
