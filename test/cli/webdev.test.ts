import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

test('teal webdev shows the pages as they are now, loads them anew by itself, and ends by a signal', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'teal-webdev-'));
  const page = join(dir, 'src', 'index.md');
  await mkdir(join(dir, 'src'));
  await writeFile(page, '# One of {{domain}}\n');
  const main = new URL('../../src/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [main, 'webdev', '--port', '0'], {
    cwd: dir,
    env: { TEAL_WWW_FOLDER: dir, MAIL_DOMAIN: 'chat.example.org' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0] ?? line;
    const first = await fetch(url);
    assert.match(await first.text(), /One of chat\.example\.org/);
    assert.equal(first.headers.get('refresh'), '2');
    await writeFile(page, '# Two\n');
    assert.match(await (await fetch(url)).text(), /Two/);
    assert.equal((await fetch(`${url}/main.css`)).headers.get('refresh'), null);
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    await rm(dir, { recursive: true });
  }
});
