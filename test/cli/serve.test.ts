import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { anyMailPorts } from '../harness/relay.ts';
import { TealProcess } from '../harness/teal-process.ts';

const anyPort = {
  ...anyMailPorts,
  TEAL_DNS_SERVERS: '127.0.0.1:9',
  TEAL_NOTIFIER_URL: 'http://127.0.0.1:9/',
};

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'teal-serve-'));
});
after(() => rm(dir, { recursive: true, force: true }));

const start = (env: Record<string, string>, args: readonly string[] = []) =>
  TealProcess.start({ cwd: dir, env: { ...anyPort, MAIL_DOMAIN: '_serve.test', ...env }, args });

/** Everything that `teal serve` prints when it cannot start. */
async function refusal(env: Record<string, string>, args: readonly string[] = []): Promise<string> {
  const error = await start(env, args).then(
    async (teal) => {
      await teal.end('SIGKILL');
      return assert.fail('it started');
    },
    (reason: Error) => reason,
  );
  const [, ...lines] = error.message.split('\n');
  return lines.join('\n');
}

/** A client that is told to go and stays until it is disposed of: so long a stop takes, up to some seconds. */
async function dawdler(port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'data');
  const toldToGo = Promise.race([once(socket, 'data'), once(socket, 'end')]);
  return { toldToGo, [Symbol.dispose]: () => socket.destroy() };
}

describe('a signal to stop', () => {
  test('that comes several times at once, as Ctrl-C does, is one: the relay ends in order', async () => {
    await using teal = await start({});
    using client = await dawdler(teal.ports.smtp_port);
    const ended = teal.end('SIGINT');
    await client.toldToGo;
    void teal.end('SIGINT');
    void teal.end('SIGTERM');
    client[Symbol.dispose]();
    assert.equal(await ended, 0);
  });

  test('that comes again later ends it at once', async () => {
    await using teal = await start({});
    using _client = await dawdler(teal.ports.smtp_port);
    const ended = teal.end('SIGINT');
    const again = setInterval(() => void teal.end('SIGINT'), 100);
    assert.equal(await ended, 130);
    clearInterval(again);
  });
});

describe('what keeps it from starting is one sentence', () => {
  test('a data directory that belongs to a relay of another domain', async () => {
    const data = join(dir, 'of-another');
    await (await start({ TEAL_DATA_DIR: data })).end('SIGTERM');
    assert.equal(
      await refusal({ TEAL_DATA_DIR: data, MAIL_DOMAIN: '_other.test' }),
      `teal: cannot start: ${data} holds the relay of _serve.test, and mail_domain is _other.test: ` +
        'set mail_domain back, or choose another place for the data',
    );
  });

  test('a data directory in use', async () => {
    const data = join(dir, 'in-use');
    await using _first = await start({ TEAL_DATA_DIR: data });
    assert.equal(
      await refusal({ TEAL_DATA_DIR: data }),
      `teal: cannot start: another Teal is running with the data directory ${data}`,
    );
  });

  test('a data directory that cannot be made, a database that is none', async () => {
    await writeFile(join(dir, 'file'), '');
    assert.match(
      await refusal({ TEAL_DATA_DIR: join(dir, 'file') }),
      /^teal: cannot start: there is a file in the way of the directory that .*file.* needs; [^\n]*$/,
    );
    const data = join(dir, 'damaged');
    await (await start({ TEAL_DATA_DIR: data })).end('SIGTERM');
    await writeFile(join(data, 'store.db'), 'something else\n');
    assert.match(
      await refusal({ TEAL_DATA_DIR: data }),
      /^teal: cannot start: the database .*damaged\/store\.db cannot be used: file is not a database$/,
    );
  });

  test('--lan for a relay that is no trial', async () => {
    assert.equal(
      await refusal({}, ['--lan']),
      'teal: --lan is for the trial; mail_domain is set to _serve.test\nTry: teal help serve',
    );
  });
});

test('a relay keeps its data to its owner', async () => {
  const data = join(dir, 'private');
  await using teal = await start({ TEAL_DATA_DIR: data });
  assert.equal((await stat(data)).mode & 0o777, 0o700);
  for (const entry of await readdir(data, { recursive: true })) {
    const { mode } = await stat(join(data, entry));
    assert.equal(mode & 0o077, 0, `${entry} has mode ${(mode & 0o777).toString(8)}`);
  }
  assert.equal(await teal.end('SIGTERM'), 0);
});
