import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from './free-ports.ts';

const run = promisify(execFile);

export interface Zone {
  readonly name: string;
  /** Lines of a zone file, relative to the name. */
  readonly records: readonly string[];
  /** `forged`: signed, and then a record was changed. */
  readonly kind: 'signed' | 'plain' | 'forged';
}

/** A real resolver that validates, and knows these zones and nothing of the world. */
export interface Unbound extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string;
}

export async function startUnbound(zones: readonly Zone[]): Promise<Unbound> {
  const dir = await mkdtemp(join(tmpdir(), 'teal-unbound-'));
  const [port] = await freePorts(1);
  const made = await Promise.all(zones.map((zone) => makeZone(dir, zone)));
  const config = [
    'server:',
    '  interface: 127.0.0.1',
    `  port: ${port}`,
    '  do-daemonize: no',
    '  use-syslog: no',
    '  username: ""',
    '  chroot: ""',
    `  directory: "${dir}"`,
    '  pidfile: ""',
    '  module-config: "validator iterator"',
    // Such names are nobody's in the world.
    '  local-zone: "test." nodefault',
    ...made.flatMap(({ anchor }) => (anchor === undefined ? [] : [`  trust-anchor: "${anchor}"`])),
    ...made.flatMap(({ name, file }) => [
      'auth-zone:',
      `  name: "${name}"`,
      `  zonefile: "${file}"`,
      '  for-downstream: no',
      '  for-upstream: yes',
    ]),
  ];
  await writeFile(join(dir, 'unbound.conf'), `${config.join('\n')}\n`);
  const child = spawn('/usr/sbin/unbound', ['-d', '-d', '-v', '-c', join(dir, 'unbound.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const gone = once(child, 'exit');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('start of service')) resolve();
    });
    child.once('exit', () => reject(new Error(`unbound ended: ${said}`)));
  });
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill();
      await gone;
      await rm(dir, { recursive: true });
    },
  };
}

/** Its file, and the key that unbound is to trust: there is no way down from the root to it. */
async function makeZone(dir: string, { name, records, kind }: Zone) {
  const file = join(dir, `${name}.zone`);
  const head = [
    '$TTL 300',
    `$ORIGIN ${name}.`,
    '@ SOA ns admin 1 3600 600 86400 120',
    '@ NS ns',
    'ns A 127.0.0.1',
  ];
  await writeFile(file, `${[...head, ...records].join('\n')}\n`);
  if (kind === 'plain') return { name, file, anchor: undefined };
  const options = { cwd: dir };
  await run('dnssec-keygen', ['-q', '-a', 'ECDSAP256SHA256', '-f', 'KSK', name], options);
  await run('dnssec-signzone', ['-q', '-S', '-z', '-o', name, '-f', `${file}.signed`, file], options);
  if (kind === 'forged') {
    const signed = await readFile(`${file}.signed`, 'latin1');
    await writeFile(`${file}.signed`, signed.replace(/127\.0\.0\.2/, '127.0.0.3'));
  }
  const keys = (await readdir(dir)).find((one) => one.startsWith(`K${name}.`) && one.endsWith('.key')) ?? '';
  const lines = (await readFile(join(dir, keys), 'latin1')).split('\n');
  const anchor = lines.find((line) => line.includes('DNSKEY') && !line.startsWith(';'));
  return { name, file: `${file}.signed`, anchor: anchor?.trim() };
}
