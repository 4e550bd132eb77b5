import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { recallTrial, rememberTrial } from '../../src/trial/memory.ts';
import { likedPorts } from '../../src/trial/ports.ts';

const account = { address: 'abcdefghj@_teal.test', password: 'secret-1' };
const memory = { ports: likedPorts, accounts: [account, { ...account, address: 'bcdefghjk@_teal.test' }] };

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'teal-memory-'));
});
after(() => rm(dir, { recursive: true, force: true }));

test('what is remembered is recalled, for the owner alone, and nothing is left beside it', async () => {
  const path = join(dir, 'a', 'trial', 'trial.json');
  assert.equal(await recallTrial(path), undefined);
  await rememberTrial(path, memory);
  assert.deepEqual(await recallTrial(path), memory);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o700);
  assert.deepEqual(await readdir(join(path, '..')), ['trial.json']);
});

test('a file that is not what was written is called damaged, with what to do, and stays as it is', async () => {
  const path = join(dir, 'damaged.json');
  const damaged: readonly unknown[] = [
    null,
    3,
    [],
    {},
    { ports: likedPorts },
    { ...memory, ports: { ...likedPorts, imap_port: undefined } },
    { ...memory, ports: { ...likedPorts, imap_port: '10143' } },
    { ...memory, accounts: [account] },
    { ...memory, accounts: [account, { address: 'x@y' }] },
    { ...memory, accounts: [account, null] },
  ];
  for (const text of ['', '{"ports":', ...damaged.map((one) => JSON.stringify(one))]) {
    await writeFile(path, text);
    await assert.rejects(recallTrial(path), (error: Error) => {
      assert.equal(
        error.message,
        `${path} is damaged; delete it to let the trial choose ports and accounts again`,
        text,
      );
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), text);
  }
});
