import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { createRelay } from '../../src/relay.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { testSettings } from '../harness/relay.ts';
import { makeDkimKey } from '../harness/signed-mail.ts';

describe('teal dkim', () => {
  let dir: string;
  const upstream = makeDkimKey();
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'teal-cli-dkim-'));
    await writeFile(join(dir, 'opendkim.private'), upstream.pem);
    await writeFile(join(dir, 'ed.pem'), makeDkimKey('ed25519').pem);
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    await writeFile(join(dir, 'ec.pem'), ec.export({ type: 'pkcs8', format: 'pem' }));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  /** `data` is the name of a data directory. */
  async function run(data: string, words: readonly string[], env: Record<string, string> = {}) {
    const out: string[] = [];
    const err: string[] = [];
    const given = { TEAL_MAIL_DOMAIN: 'chat.example.org', TEAL_DATA_DIR: join(dir, data), ...env };
    const code = await runCommandLine(commands, ['dkim', ...words], {
      loadSettings: (configPath) => loadSettings({ configPath, env: given, cwd: dir }),
      print: (text) => out.push(text),
      printError: (text) => err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }
  const at = (name: string) => join(dir, name);
  const record = `v=DKIM1;k=rsa;p=${upstream.p};s=email;t=s`;

  test('show makes the keys before the first start, and shows the same ever after', async () => {
    const first = await run('a', ['show']);
    assert.equal(first.code, 0, first.err);
    const zone =
      /^opendkim\._domainkey\.chat\.example\.org\. IN TXT "(v=DKIM1;k=rsa;p=[^"]{1,255})" "([^"]+)"$/m.exec(
        first.out,
      );
    assert.ok(zone, first.out);
    assert.ok(
      first.out.includes(`\nopendkim._domainkey.chat.example.org\n${zone[1]}${zone[2]}\n`),
      'in one piece',
    );
    assert.match(
      first.out,
      /^ed25519\._domainkey\.chat\.example\.org\. IN TXT "v=DKIM1;k=ed25519;p=[^"]+"$/m,
    );
    assert.deepEqual(await run('a', ['show']), first);
  });

  test('an upstream key is imported before the first start', async () => {
    const imported = await run('b', ['import', '--selector', 'opendkim', at('opendkim.private')]);
    assert.equal(imported.code, 0, imported.err);
    assert.ok(imported.out.includes(record), imported.out);
    assert.ok((await run('b', ['show'])).out.includes(record));
    assert.match((await run('b', ['import', at('opendkim.private')])).out, /has this very key already/);
  });

  test('beside a relay that is running', async () => {
    await using relay = await createRelay(testSettings(at('c')));
    const shown = await run('c/data', ['show']);
    assert.equal(shown.code, 0, shown.err);
    const taken = await run('c/data', ['import', at('opendkim.private')]);
    assert.equal(taken.code, 1);
    assert.match(taken.err, /^teal: selector opendkim has another key already\. .*--replace$/);
    assert.deepEqual(await run('c/data', ['show']), shown);
    assert.equal((await run('c/data', ['import', '--replace', at('opendkim.private')])).code, 0);
    assert.ok((await relay.store.values.get('dkim-key:opendkim'))?.includes('PRIVATE KEY'));
    assert.ok((await run('c/data', ['show'])).out.includes(record));
  });

  test('a key for a selector that does not sign is kept, and that is said', async () => {
    const { code, out } = await run('d', ['import', '--selector', 'Next.2027', at('opendkim.private')]);
    assert.equal(code, 0);
    assert.match(out, /^It does not sign: dkim_selector_rsa is opendkim\.$/m);
    const next = { TEAL_DKIM_SELECTOR_RSA: 'next.2027' };
    assert.ok(
      (await run('d', ['show'], next)).out.includes(`next.2027._domainkey.chat.example.org\n${record}`),
    );
  });

  test('export gives the key back, to its owner alone', async () => {
    await run('e', ['import', at('opendkim.private')]);
    const written = await run('e', ['export', at('out.pem')]);
    assert.equal(written.code, 0, written.err);
    assert.equal((await stat(at('out.pem'))).mode & 0o777, 0o600);
    const printed = await run('e', ['export', '--selector', 'opendkim']);
    assert.equal(`${printed.out}\n`, await readFile(at('out.pem'), 'utf8'));
    assert.ok((await run('f', ['import', at('out.pem')])).out.includes(record));
    const again = await run('e', ['export', at('out.pem')]);
    assert.equal(again.code, 1);
    assert.match(again.err, /EEXIST/);
  });

  const refusals: [string, string[], RegExp, Record<string, string>?][] = [
    ['no file', ['import', 'missing.pem'], /^teal: ENOENT/],
    ['no key for DKIM', ['import', 'ec.pem'], /^teal: .*ec\.pem cannot be imported: it is ec/],
    [
      'a key under the selector of the other kind',
      ['import', '--selector', 'opendkim', 'ed.pem'],
      /dkim_selector_rsa is/,
    ],
    ['no key to export', ['export', '--selector', 'none'], /^teal: there is no key for selector none$/],
    [
      'an address literal',
      ['show'],
      /^teal: the relay of \[192\.0\.2\.7\] signs nothing/,
      { TEAL_MAIL_DOMAIN: '192.0.2.7' },
    ],
    [
      'one selector for both',
      ['show'],
      /two DKIM keys cannot share a selector/,
      { TEAL_DKIM_SELECTOR_RSA: 'ed25519' },
    ],
  ];
  for (const [why, words, says, env] of refusals)
    test(`${why} is told in a line`, async () => {
      const paths = words.map((word) => (word.endsWith('.pem') ? at(word) : word));
      const { code, out, err } = await run('g', paths, env);
      assert.deepEqual({ code, out }, { code: 1, out: '' });
      assert.match(err, says);
      assert.doesNotMatch(err, /^\s+at /m);
    });

  test('a command line without a file, or with a selector that is none', async () => {
    assert.equal((await run('h', ['import'])).code, 2);
    assert.equal((await run('h', ['import', '--selector', 'a_b', at('ed.pem')])).code, 2);
  });
});
