import { X509Certificate } from 'node:crypto';
import { watch } from 'node:fs';
import { dirname } from 'node:path';
import { minute, second } from '../clock.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Events } from '../observe/events.ts';
import type { Certificate, KeyPair } from './certificate.ts';
import { readKeyPair } from './files.ts';

export interface FollowOptions {
  readonly cert: string;
  readonly key: string;
  /** Names that clients will ask for. */
  readonly names: readonly string[];
  readonly certificate: Certificate;
  readonly clock: Clock;
  readonly events: Events;
}

/** The pair in the files is followed until this is disposed of. */
export interface FollowedFiles extends AsyncDisposable {
  /** What stands in the files now cannot be used. */
  readonly failing: boolean;
}

/** Not every file system tells of changes, and a symlink's target may change where nobody looks. */
const LOOK_EVERY = minute;
/** certbot writes four files one after another; a pair that is not whole yet gets the same time once more. */
const SETTLE = 2 * second;

/**
 * Follows the files of tls_external_cert_and_key until disposed of: what comes to stand in them serves from then on,
 * within seconds where the file system tells of changes, else within a minute. A pair that cannot be used changes
 * nothing and is told once. The directories are watched, not the files: a symlink that is swapped (certbot,
 * Kubernetes) is a change of its directory alone.
 */
export function followFiles(options: FollowOptions): FollowedFiles {
  const { cert, key, names, certificate, clock, events } = options;
  let toldProblem: string | undefined;
  let failedBefore = false;
  let settling = false;
  let stopped = false;
  let looking: Promise<void> | undefined;
  let timer: Timer = clock.after(LOOK_EVERY, begin);

  function lookIn(ms: number): void {
    timer[Symbol.dispose]();
    if (!stopped) timer = clock.after(ms, begin);
  }

  /** Counted from the first change, not the last: a busy directory must not put it off for ever. */
  function changed(): void {
    if (settling) return;
    settling = true;
    lookIn(SETTLE);
  }

  function begin(): void {
    settling = false;
    // Whatever becomes of this one, and also where the last one still hangs.
    lookIn(LOOK_EVERY);
    looking ??= look()
      .catch((error: unknown) => events.fault('certificate files', error))
      .finally(() => (looking = undefined));
  }

  async function look(): Promise<void> {
    let pair: KeyPair;
    try {
      pair = await readKeyPair(cert, key);
      if (stopped) return;
      failedBefore = false;
      if (pair.cert !== certificate.pair.cert || pair.key !== certificate.pair.key) await use(pair);
      toldProblem = undefined;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      // It may have been half written.
      if (!failedBefore) lookIn(SETTLE);
      else if (problem !== toldProblem) events.certificateFilesRejected((toldProblem = problem));
      failedBefore = true;
    }
  }

  async function use(pair: KeyPair): Promise<void> {
    try {
      certificate.replace(pair);
    } catch (error) {
      if (certificate.pair !== pair) throw error;
      events.fault('certificate', error);
    }
    toldProblem = undefined;
    events.certificateReplaced(new X509Certificate(pair.cert).validToDate);
    await readKeyPair(cert, key, { now: clock.now(), names, warn: events.certificateDoubtful });
  }

  const watchers = [...new Set([dirname(cert), dirname(key)])].flatMap((directory) => {
    try {
      const watcher = watch(directory, { persistent: false }, changed);
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      return [];
    }
  });

  return {
    get failing() {
      return toldProblem !== undefined;
    },
    async [Symbol.asyncDispose]() {
      stopped = true;
      timer[Symbol.dispose]();
      for (const watcher of watchers) watcher.close();
      await looking;
    },
  };
}
