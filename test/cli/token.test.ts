import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { day } from '../../src/clock.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { onEachStore } from '../harness/each-store.ts';
import { startTestRelay } from '../harness/relay.ts';
import type { TestRelay } from '../harness/relay.ts';
import { ask } from '../harness/web-client.ts';

async function run(words: readonly string[], env: Record<string, string>, cwd = tmpdir()) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine(commands, ['token', ...words], {
    loadSettings: (configPath) => loadSettings({ configPath, env, cwd }),
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const tokenIn = (text: string) => /\?token=(\w{22})$/m.exec(text)?.[1] ?? '';
const idIn = (text: string) => /^Token (\w{6}):/m.exec(text)?.[1] ?? '';

onEachStore('teal token beside a relay that is running', false, (store) => {
  let relay: TestRelay;
  let env: Record<string, string>;
  before(async () => {
    relay = await startTestRelay({ TEAL_REGISTRATION: 'token', TEAL_STORE: store });
    const { mongodb_url: mongodb, redis_url: redis, mongodb_database: database, data_dir } = relay.settings;
    env = {
      MAIL_DOMAIN: relay.domain,
      TEAL_DATA_DIR: data_dir,
      TEAL_STORE: store,
      TEAL_REGISTRATION: 'token',
      TEAL_HTTPS_PORT: String(relay.ports.https_port),
      ...(mongodb === undefined ? {} : { TEAL_MONGODB_URL: mongodb, TEAL_MONGODB_DATABASE: database }),
      ...(redis === undefined ? {} : { TEAL_REDIS_URL: redis }),
    };
  });
  after(() => relay[Symbol.asyncDispose]());
  const signUp = (token: string) => ask(relay.ports.https_port ?? 0, 'POST', `/new?token=${token}`);

  test('what is made counts at once, is listed as it is used, and is withdrawn at once', async () => {
    assert.deepEqual(await run(['list'], env), { code: 0, out: 'There are no tokens.', err: '' });
    const two = await run(['add', '--uses', '2', '--note', 'Größe \u001b[2J'], env);
    assert.deepEqual([two.code, two.err], [0, '']);
    const [token, id] = [tokenIn(two.out), idIn(two.out)];
    const url = `https://_relay.test:${relay.ports.https_port}/new?token=${token}`;
    assert.ok(two.out.includes(`\n${url}\ndcaccount:${url}\n`), two.out);
    assert.match(two.out, /▀/);
    const any = await run(['add', '--uses', 'any'], env);

    assert.equal((await signUp(token)).status, 200);
    assert.equal((await signUp(tokenIn(any.out))).status, 200);
    const listed = await run(['list'], env);
    assert.deepEqual(listed.out.split('\n'), [
      `${id}: 1 used of 2, no expiry (Größe ?[2J)`,
      `${idIn(any.out)}: 1 used of any number, no expiry`,
    ]);
    assert.ok(!listed.out.includes(token), 'it is shown once');

    assert.equal((await signUp(token)).status, 200);
    assert.match((await run(['list'], env)).out, new RegExp(`^${id}: 2 used of 2, no expiry, used up `, 'm'));
    const removed = await run(['remove', idIn(any.out), 'nobody', id], env);
    assert.equal(removed.code, 1);
    assert.equal(removed.out, `Token ${idIn(any.out)} is removed.\nToken ${id} is removed.`);
    assert.equal(removed.err, 'teal: there is no token nobody');
    assert.match(String((await signUp(tokenIn(any.out))).json()['reason']), /does not know/);
    assert.equal((await run(['list'], env)).out, 'There are no tokens.');
  });

  test('one that expires says when', async () => {
    const { out } = await run(['add', '--expires', '2w', '--uses=1'], env);
    const [, text = ''] = /0 used of 1, until (\d{4}-\d\d-\d\d \d\d:\d\d) UTC$/m.exec(out) ?? [];
    const until = Date.parse(`${text.replace(' ', 'T')}Z`);
    assert.ok(Math.abs(until - Date.now() - 14 * day) < 120_000, text);
    const [kept] = await relay.store.signUpTokens.list();
    assert.ok(kept?.expiresAt !== undefined && Math.abs(kept.expiresAt - until) < 60_000);
    await relay.store.signUpTokens.remove(kept.id);
    await relay.store.signUpTokens.add({ ...kept, expiresAt: Date.now() - 1 });
    assert.match((await run(['list'], env)).out, /, until .* UTC, expired$/);
  });
});

describe('teal token without a relay', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'teal-cli-token-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));
  const at = (data: string, more: Record<string, string> = {}) => ({
    MAIL_DOMAIN: 'chat.example.org',
    TEAL_DATA_DIR: join(dir, data),
    TEAL_REGISTRATION: 'token',
    ...more,
  });

  test('works before the first start, and tells what keeps a token from being of use', async () => {
    const made = await run(['add'], at('a'));
    assert.deepEqual([made.code, made.err], [0, '']);
    assert.match(made.out, /^https:\/\/chat\.example\.org\/new\?token=\w{22}$/m);
    assert.match((await run(['list'], at('a'))).out, /^\w{6}: 0 used of 1, no expiry$/);
    await writeFile(join(dir, 'a', 'nocreate'), '');
    const { err } = await run(['add'], at('a', { TEAL_REGISTRATION: 'open', TEAL_HTTPS_PORT: 'off' }));
    assert.match(
      err,
      /^note: registration is open, .*\nnote: while the file nocreate .*\nnote: https_port is off/,
    );
  });

  test('gives no link that Delta Chat could not follow', async () => {
    for (const more of [{ MAIL_DOMAIN: '192.0.2.7' }, { TEAL_ACME_TERMS_AGREED: 'false' }]) {
      const { code, out } = await run(['add'], at('b', more));
      assert.equal(code, 0);
      assert.match(out, /^https:\/\/(192\.0\.2\.7|chat\.example\.org)\/new\?token=\w{22}$/m);
      assert.doesNotMatch(out, /dcaccount:/);
    }
  });

  test('what cannot be is told in a line, and nothing is made', async () => {
    for (const [words, code, says] of [
      [['add', '--uses', '0'], 2, /--uses takes 1 to 1000000, or any/],
      [['add', '--uses', '1.5'], 2, /--uses takes/],
      [['add', '--uses', '9999999'], 2, /--uses takes/],
      [['add', '--expires', '7'], 2, /--expires takes hours, days or weeks/],
      [['add', '--expires', '0d'], 2, /--expires takes/],
      [['add', '--expires', '99999w'], 2, /--expires takes/],
      [['add', '--note', 'x'.repeat(201)], 2, /--note takes at most 200/],
      [['remove'], 2, /no ID is given/],
    ] as const) {
      const result = await run(words, at('c'));
      assert.equal(result.code, code, words.join(' '));
      assert.match(result.err, says);
    }
    const nameless = await run(['add'], { TEAL_DATA_DIR: join(dir, 'c') });
    assert.deepEqual([nameless.code, nameless.err], [1, 'teal: there is no mail_domain: set it first']);
    assert.equal((await run(['list'], at('c'))).out, 'There are no tokens.');
  });
});
