import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Call, Command } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { shownSettings } from '../../src/cli/config-show.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { tealVersion } from '../../src/cli/version.ts';
import { loadSettings, loadTable } from '../../src/settings/load.ts';
import { optionalSetting, setting } from '../../src/settings/setting.ts';
import { freeText, wholeNumber } from '../../src/settings/value-types.ts';

const cwd = mkdtempSync(join(tmpdir(), 'teal-cli-'));
after(() => rmSync(cwd, { recursive: true }));
writeFileSync(
  join(cwd, 'good.ini'),
  '[params]\nmail_domain = chat.example.org\nmtail_address = 127.0.0.1\nprivacy_pdo = a\n  b\ndelete_large_after = 8\n',
);
writeFileSync(
  join(cwd, 'bad.ini'),
  '[params]\nmail_domain = nowhere\nmax_mailbox_siz = 1G\npassdb_path = x\n',
);

async function run(line: string, env: Record<string, string> = {}, table: readonly Command[] = commands) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine(table, line === '' ? [] : line.split(' '), {
    loadSettings: (configPath) => loadSettings({ configPath, env, cwd }),
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('teal config check', () => {
  test('says that the settings are in order, with what has no meaning in them', async () => {
    const { code, out, err } = await run('config check --config good.ini');
    assert.deepEqual({ code, err }, { code: 0, err: '' });
    assert.match(out, /^note: good\.ini:3: mtail_address has no meaning in Teal: /m);
    assert.match(out, /^note: good\.ini:6: delete_large_after has no effect in this version/m);
    assert.match(out, /^The settings of chat\.example\.org are in order$/m);
  });

  test('says that no mail_domain means a trial', async () => {
    const { code, out } = await run('config check');
    assert.equal(code, 0);
    assert.match(out, /no mail_domain: teal serve will run a trial/);
  });

  test('fails with every problem on the standard error', async () => {
    const { code, out, err } = await run('config check --config bad.ini', { TEAL_SMTP_PORT: 'x' });
    assert.deepEqual({ code, out }, { code: 1, out: '' });
    assert.deepEqual(
      err.split('\n').map((line) => line.slice(0, 46)),
      [
        'note: bad.ini:4: passdb_path has no meaning in',
        'error: bad.ini:3: unknown key max_mailbox_siz,',
        'error: bad.ini:2: mail_domain must be a DNS na',
        'error: environment TEAL_SMTP_PORT: smtp_port m',
        'teal: the settings have 3 problems',
      ],
    );
  });

  test('counts a single problem in words', async () => {
    assert.match(
      (await run('config check --config no.ini')).err,
      /^error: no\.ini: .*\nteal: .* one problem$/,
    );
  });
});

describe('teal config show', () => {
  test('prints each value with where it comes from', async () => {
    const { code, out } = await run('config show --config good.ini', { TEAL_LOG_LEVEL: 'debug' });
    assert.equal(code, 0);
    assert.match(out, /^mail_domain = chat\.example\.org +\(good\.ini:2\)$/m);
    assert.match(out, /^log_level = debug +\(environment TEAL_LOG_LEVEL\)$/m);
    assert.match(out, /^max_mailbox_size = 500M +\(default\)$/m);
    assert.match(out, /^privacy_pdo = a +\(good\.ini:4\)\n {4}b\n/m);
    assert.match(out, /^listen_address = \(not set: every address of the machine\) \(default\)$/m);
  });

  test('shows nothing of settings with problems', async () => {
    const { code, out, err } = await run('config show --config bad.ini');
    assert.deepEqual({ code, out }, { code: 1, out: '' });
    assert.match(err, /2 problems/);
  });

  test('hides a secret, and says that none is set', () => {
    const rows = {
      admin_key: optionalSetting({ group: 'data', type: freeText, unset: 'no key', example: 'x', secret: true, text: '' }),
      size: setting({ group: 'network', type: wholeNumber(1, 5), default: '2', text: '' }),
    } as const; // prettier-ignore
    const shown = (env: Record<string, string>) => shownSettings(rows, loadTable(rows, { cwd, env }));
    assert.doesNotMatch(shown({ TEAL_ADMIN_KEY: 'hunter2' }), /hunter2/);
    assert.match(
      shown({ TEAL_ADMIN_KEY: 'hunter2' }),
      /^admin_key = \(hidden\) +\(environment TEAL_ADMIN_KEY\)$/m,
    );
    assert.match(shown({}), /^admin_key = \(not set: no key\) +\(default\)$/m);
  });
});

describe('teal help', () => {
  test('lists every command', async () => {
    const { code, out } = await run('help');
    assert.equal(code, 0);
    for (const command of commands) assert.ok(out.includes(`  ${command.name}  `), command.name);
  });

  test('explains each command with its flags, in lines of a terminal', async () => {
    for (const command of commands) {
      const { code, out } = await run(`help ${command.name}`);
      assert.equal(code, 0);
      for (const flag of command.flags) assert.ok(out.includes(`--${flag.name}`), out);
      for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
    }
  });

  test('explains a family of commands', async () => {
    const { out } = await run('help config');
    assert.match(out, /^teal config check [^]*^teal config show /m);
  });

  test('does not know every word', async () => {
    assert.deepEqual(await run('help chek'), {
      code: 2,
      out: '',
      err: 'teal: unknown command "chek", the nearest is help\nTry: teal help',
    });
  });
});

test('teal version prints the version of package.json and of Node', async () => {
  assert.deepEqual(await run('version'), {
    code: 0,
    out: `teal ${tealVersion()} (Node ${process.versions.node})`,
    err: '',
  });
  assert.match(tealVersion(), /^\d+\.\d+\.\d+/);
});

describe('what goes wrong', () => {
  test('with the command line ends in code 2 and names the help', async () => {
    assert.deepEqual(await run('serve --lna'), {
      code: 2,
      out: '',
      err: 'teal: unknown flag "--lna": teal serve has --lan\nTry: teal help serve',
    });
    assert.equal((await run('')).code, 2);
  });

  test('in a command ends in code 1 with its stack', async () => {
    const broken: Command = {
      name: 'break',
      flags: [],
      summary: '',
      text: '',
      run: async () => {
        throw new TypeError('broken on purpose');
      },
    };
    const { code, err } = await run('break', {}, [...commands, broken]);
    assert.equal(code, 1);
    assert.match(err, /^teal: TypeError: broken on purpose\n +at /);
  });
});

test('a command gets its flags, its words and the settings it asks for', async () => {
  const calls: Call[] = [];
  const probe: Command = {
    name: 'probe',
    words: { name: 'WORD', most: 1, text: '' },
    flags: [
      { name: 'config', value: 'FILE', text: '' },
      { name: 'lan', text: '' },
    ],
    summary: '',
    text: '',
    run: async (call) => {
      calls.push(call);
      call.print(String(call.loadSettings().settings.mail_domain));
      return 0;
    },
  };
  assert.equal((await run('probe --lan x --config good.ini', {}, [probe])).out, 'chat.example.org');
  assert.deepEqual(
    [...(calls[0]?.flags ?? [])],
    [
      ['lan', true],
      ['config', 'good.ini'],
    ],
  );
  assert.deepEqual(calls[0]?.words, ['x']);
});
