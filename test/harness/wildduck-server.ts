import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { freePorts } from './free-ports.ts';
import type { TestDatabase } from './test-database.ts';

/** WildDuck's own server, as npm brings it, on a test's database. */
export interface WildduckServer extends AsyncDisposable {
  /** Its IMAP, in the clear. */
  readonly imapPort: number;
  /** What it has said, for a test that fails. */
  readonly output: () => string;
}

/** Its keys have no prefix, so they are apart; what is published is heard in all databases. */
const REDIS_DATABASE = 9;
/** It loads all of its modules first. */
const STARTING = 60_000;

export async function startWildduckServer(test: TestDatabase): Promise<WildduckServer> {
  const { mongodbUrl, redisUrl, name } = test;
  const directory = dirname(createRequire(import.meta.url).resolve('wildduck/package.json'));
  const [imapPort = 0] = await freePorts(1);
  const mongodb = new URL(mongodbUrl);
  mongodb.pathname = `/${name}`;
  const redis = new URL(redisUrl);
  const settings = {
    'dbs.mongo': mongodb.href,
    'dbs.redis.host': redis.hostname,
    'dbs.redis.port': redis.port,
    'dbs.redis.db': REDIS_DATABASE,
    'imap.port': imapPort,
    'imap.host': '127.0.0.1',
    'imap.secure': false,
    'imap.ignoreSTARTTLS': true,
    'pop3.enabled': false,
    'api.enabled': false,
    'tasks.enabled': false,
    'webhooks.enabled': false,
    'log.level': 'warn',
  };
  // The store says this to its own process (wildduck.ts); here the configuration is wanted.
  const { DISABLE_WILD_CONFIG: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    [join(directory, 'server.js'), ...Object.entries(settings).map(([key, value]) => `--${key}=${value}`)],
    { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-10_000)));
  const ended = once(child, 'exit');

  const until = Date.now() + STARTING;
  while (!(await answers(imapPort))) {
    if (child.exitCode !== null || Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`WildDuck did not start: ${output}`);
    }
  }
  return {
    imapPort,
    output: () => output,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
      await removeKeys(test);
    },
  };
}

/** What it kept in Redis of the users of this test. */
async function removeKeys({ database, redis }: TestDatabase): Promise<void> {
  const users = await database
    .collection('users')
    .find({}, { projection: { _id: 1 } })
    .toArray();
  const apart = redis.duplicate({ db: REDIS_DATABASE });
  for (const { _id } of users) {
    const keys = await apart.keys(`*:${_id.toHexString()}`);
    if (keys.length > 0) await apart.del(...keys);
  }
  apart.disconnect();
}

/** Whether somebody greets there; takes a tenth of a second where nobody does. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (there: boolean) => {
      socket.destroy();
      setTimeout(() => resolve(there), there ? 0 : 100);
    };
    socket.once('data', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
