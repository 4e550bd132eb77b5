import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { KeyPair } from '../../src/tls/certificate.ts';
import { selfSigned } from './self-signed.ts';

export interface PebbleOptions {
  /** `address:port` of the name server it asks about the names it is to certify. */
  readonly dns: string;
  /** Where it looks for answers to HTTP-01 and TLS-ALPN-01, whatever the name. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Its own port; a free one where none is given. */
  readonly port?: number;
  /** Its own key and certificate, for one that comes back as the same. */
  readonly identity?: KeyPair;
  /** Names it refuses to make an order with. */
  readonly blocked?: readonly string[];
  /** Seconds for which its certificates are valid. */
  readonly validity?: number;
}

/** Debian's pebble: Let's Encrypt's certificate authority for tests, which forgets everything when it ends. */
export interface Pebble extends AsyncDisposable {
  readonly port: number;
  readonly directoryUrl: string;
  /** PEM: who it is itself. The certificates it issues have another root. */
  readonly trustedCa: string;
  /** PEM of the root above the certificates it issues. */
  root(): Promise<string>;
  /** What it has printed. */
  readonly said: () => string;
}

const START_MS = 20_000;

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const [port = 0, managementPort = 0] = await freePorts(2, options.port);
  const dir = await mkdtemp(join(tmpdir(), 'teal-pebble-'));
  const own = options.identity ?? (await selfSigned('localhost'));
  await writeFile(join(dir, 'cert.pem'), own.cert);
  await writeFile(join(dir, 'key.pem'), own.key);
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: join(dir, 'cert.pem'),
    privateKey: join(dir, 'key.pem'),
    httpPort: options.httpPort,
    tlsPort: options.tlsPort,
    domainBlocklist: options.blocked ?? [],
    ...(options.validity === undefined ? {} : { certificateValidityPeriod: options.validity }),
  };
  await writeFile(join(dir, 'config.json'), JSON.stringify({ pebble: config }));
  const child = spawn('pebble', ['-config', join(dir, 'config.json'), '-dnsserver', options.dns], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // It rejects one nonce in twenty, as ever, and here knows an authorization again each time.
    env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '100' },
  });
  const gone = once(child, 'exit');
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));

  const get = (where: number, path: string) => fetchText(`https://localhost:${where}${path}`, own.cert);
  const pebble: Pebble = {
    port,
    directoryUrl: `https://localhost:${port}/dir`,
    trustedCa: own.cert,
    root: () => get(managementPort, '/roots/0'),
    said: () => said,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await gone;
      await rm(dir, { recursive: true, force: true });
    },
  };
  for (const end = Date.now() + START_MS; ;) {
    const ready = await get(port, '/dir').then(
      () => true,
      () => false,
    );
    if (ready) return pebble;
    if (Date.now() > end || child.exitCode !== null) {
      await pebble[Symbol.asyncDispose]();
      throw new Error(`pebble does not answer: ${said}`);
    }
    await setTimeout(50);
  }
}

/** Ports that are free now, for a program that must be told a number; `first` is taken as it is. */
export async function freePorts(count: number, first?: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: first === undefined ? count : count - 1 }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return first === undefined ? ports : [first, ...ports];
}

function fetchText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca, agent: false }, (response) => {
      text(response).then(resolve, reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}
