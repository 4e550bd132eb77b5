import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';

/** One `listen` of HAProxy. */
export interface Forwarded {
  readonly name: string;
  /** On 127.0.0.1, for clients. */
  readonly from: number;
  /** On 127.0.0.1, of the relay. */
  readonly to: number;
  /** What stands on its `server` line behind the address. */
  readonly server: string;
  /** Lines of its own. */
  readonly lines?: readonly string[];
}

/** Debian's HAProxy in front of a relay. */
export interface HaProxy extends AsyncDisposable {
  /** What its health checks say of each server: `UP L7OK`. */
  checks(): Promise<Readonly<Record<string, string>>>;
  /** What it has printed. */
  readonly said: () => string;
}

const START_MS = 20_000;

/** Connects to the relay from `source`. Resolves when it takes connections. */
export async function startHaProxy(source: string, forwarded: readonly Forwarded[]): Promise<HaProxy> {
  const dir = await mkdtemp(join(tmpdir(), 'teal-haproxy-'));
  const socket = join(dir, 'stats');
  const listens = forwarded.flatMap(({ name, from, to, server, lines = [] }) => [
    `listen ${name}`,
    `  bind 127.0.0.1:${from}`,
    ...lines.map((line) => `  ${line}`),
    `  server teal 127.0.0.1:${to} ${server}`,
  ]);
  const config = [
    'global',
    '  maxconn 200',
    `  stats socket ${socket} mode 600`,
    'defaults',
    '  mode tcp',
    '  timeout connect 10s',
    '  timeout client 10m',
    '  timeout server 10m',
    `  source ${source}`,
    ...listens,
    '',
  ].join('\n');
  await writeFile(join(dir, 'haproxy.cfg'), config);
  const child = spawn('/usr/sbin/haproxy', ['-db', '-f', join(dir, 'haproxy.cfg')], { stdio: 'pipe' });
  const gone = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));

  const haproxy: HaProxy = {
    said: () => said,
    async checks() {
      const asked = connect(socket);
      asked.end('show stat\n');
      const [header = '', ...rows] = (await text(asked)).trim().split('\n');
      const columns = header.replace('# ', '').split(',');
      const cell = (row: string, column: string) => row.split(',')[columns.indexOf(column)] ?? '';
      const servers = rows.filter((row) => cell(row, 'svname') === 'teal');
      return Object.fromEntries(
        servers.map((row) => [cell(row, 'pxname'), `${cell(row, 'status')} ${cell(row, 'check_status')}`]),
      );
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
      await rm(dir, { recursive: true, force: true });
    },
  };
  for (const end = Date.now() + START_MS; ;) {
    const ready = await haproxy.checks().then(
      () => true,
      () => false,
    );
    if (ready) return haproxy;
    if (Date.now() > end || child.exitCode !== null) {
      await haproxy[Symbol.asyncDispose]();
      throw new Error(`haproxy does not answer: ${said}`);
    }
    await setTimeout(20);
  }
}
