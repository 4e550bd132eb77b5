import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** The listeners of a relay, as its `ready` event names them. */
export interface Ports {
  readonly smtp_port: number;
  readonly submission_port: number;
  readonly submissions_port: number;
  readonly imap_port: number;
  readonly imaps_port: number;
}

const READY_MS = 30_000;

/** Teal as an operator runs it, in a process of its own, so that a test can kill it. */
export class TealProcess implements AsyncDisposable {
  readonly ports: Ports;
  /** Everything it has printed, line by line. */
  readonly lines: string[];
  /** Resolves with its exit code when it is gone, as `end` does. */
  readonly gone: Promise<number | null>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ports: Ports, lines: string[]) {
    this.#child = child;
    this.gone = new Promise((resolve) => child.once('close', resolve));
    this.ports = ports;
    this.lines = lines;
  }

  /** Resolves when it says `ready`; rejects with what it printed if it ends before that. */
  static start(options: {
    readonly cwd: string;
    readonly env?: Record<string, string>;
    readonly args?: readonly string[];
    /** A program of the test's own that runs a relay, in place of Teal's. */
    readonly program?: string;
  }): Promise<TealProcess> {
    const launcher = new URL('../../bin/teal.mjs', import.meta.url).pathname;
    const program = options.program === undefined ? [launcher, 'serve'] : [options.program];
    const child = spawn(process.execPath, [...program, ...(options.args ?? [])], {
      cwd: options.cwd,
      // No test takes a port that it has not asked for: 80 and 443 are one for all of them.
      env: {
        PATH: process.env['PATH'] ?? '',
        TEAL_HTTP_PORT: 'off',
        TEAL_HTTPS_PORT: 'off',
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const lines: string[] = [];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`teal not ready within ${READY_MS} ms\n${lines.join('\n')}`));
      }, READY_MS);
      const fail = () => {
        clearTimeout(timer);
        reject(new Error(`teal ended before it was ready\n${lines.join('\n')}`));
      };
      child.once('close', fail);
      createInterface({ input: child.stderr }).on('line', (line) => lines.push(line));
      createInterface({ input: child.stdout }).on('line', (line) => {
        lines.push(line);
        if (!line.includes('"event":"ready"')) return;
        clearTimeout(timer);
        child.off('close', fail);
        resolve(new TealProcess(child, (JSON.parse(line) as { ports: Ports }).ports, lines));
      });
    });
  }

  /** Ends it with `signal` and resolves with its exit code when it is gone and all that it has printed is in `lines`. */
  end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}
