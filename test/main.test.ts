import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const cwd = mkdtempSync(join(tmpdir(), 'teal-main-'));
after(() => rmSync(cwd, { recursive: true }));

function teal(args: readonly string[], env: Record<string, string> = {}) {
  const launcher = join(import.meta.dirname, '..', 'bin', 'teal.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('teal reads the settings of the directory and environment it is started in, and touches nothing', () => {
  mkdirSync(join(cwd, 'config'));
  writeFileSync(join(cwd, 'config', 'chatmail.ini'), '[params]\nmail_domain = chat.example.org\n');
  writeFileSync(join(cwd, 'other.ini'), '[params]\nmail_domain = other.example.org\n');

  assert.match(teal(['config', 'check']).stdout, /^The settings of chat\.example\.org are in order\n$/);
  assert.match(teal(['config', 'check', '--config', 'other.ini']).stdout, /other\.example\.org/);
  assert.match(teal(['config', 'check'], { TEAL_CONFIG: 'other.ini' }).stdout, /other\.example\.org/);
  assert.match(
    teal(['config', 'show'], { MAIL_DOMAIN: 'env.example' }).stdout,
    /env\.example +\(environment MAIL_DOMAIN\)/,
  );
  assert.deepEqual(readdirSync(cwd).toSorted(), ['config', 'other.ini']);
});

test('teal ends with 0, 1 or 2', () => {
  assert.equal(teal(['version']).status, 0);
  assert.deepEqual(teal(['config', 'check'], { TEAL_SMTP_PROT: '25' }), {
    status: 1,
    stdout: '',
    stderr:
      'error: environment TEAL_SMTP_PROT: unknown variable, the nearest is TEAL_SMTP_PORT\nteal: the settings have one problem\n',
  });
  assert.deepEqual(teal([]), {
    status: 2,
    stdout: '',
    stderr: 'teal: no command is given\nTry: teal help\n',
  });
});

test('teal serve with a bad setting says so and ends', () => {
  const { status, stderr } = teal(['serve', '--lan'], { TEAL_IMAP_PORT: 'x' });
  assert.equal(status, 1);
  assert.match(stderr, /TEAL_IMAP_PORT: imap_port must be a port .*, got "x"/);
});
