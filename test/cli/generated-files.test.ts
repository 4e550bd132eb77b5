import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { check, resolveConfig } from 'prettier';
import { commands } from '../../src/cli/commands.ts';
import { generatedFiles } from '../../src/cli/docs/generated-files.ts';
import { refusals } from '../../src/errors.ts';
import { variablesOf } from '../../src/settings/given.ts';
import { table } from '../../src/settings/table.ts';

const root = join(import.meta.dirname, '..', '..');
const content = (path: string) => generatedFiles().get(path) ?? assert.fail(`${path} is not made`);

describe('what is made from code', () => {
  for (const [path, made] of generatedFiles()) {
    test(`${path} is up to date`, () => {
      const file = join(root, path);
      assert.equal(existsSync(file) ? readFileSync(file, 'utf8') : 'no such file', made, 'run: npm run docs');
    });

    if (path.endsWith('.md'))
      test(`${path} is formatted as prettier does`, async () => {
        const options = await resolveConfig(join(root, path));
        assert.ok(await check(made, { ...options, filepath: path }));
      });
  }
});

test('docs/settings.md has every key with every name it has in the environment', () => {
  const page = content('docs/settings.md');
  for (const [key, row] of Object.entries(table)) {
    if (row.kind === 'noted') assert.match(page, new RegExp(`^\\| \`${key}\` +\\| `, 'm'));
    else assert.ok(page.includes(`\n### \`${key}\`\n`), key);
  }
  for (const [variable, { key }] of variablesOf(table))
    assert.ok(
      table[key as keyof typeof table].kind === 'noted' || page.includes(`\`${variable}\``),
      variable,
    );
});

test('docs/settings.md says of which settings nothing comes yet', () => {
  const page = content('docs/settings.md');
  const sections = page.split(/^### /m).slice(1);
  const inert = sections.flatMap((text) =>
    /no effect in this version/.test(text) ? [/`(\w+)`/.exec(text)?.[1]] : [],
  );
  const expected = Object.entries(table).flatMap(([key, row]) =>
    row.kind === 'setting' && !row.acts ? [key] : [],
  );
  assert.deepEqual(inert, expected);
});

test('docs/errors.md has every refusal, docs/cli.md every command and flag', () => {
  const errors = content('docs/errors.md');
  for (const code of Object.keys(refusals)) assert.match(errors, new RegExp(`^\\| \`${code}\` `, 'm'));
  const cli = content('docs/cli.md');
  for (const command of commands) {
    assert.ok(cli.includes(`\n## ${command.name}\n`), command.name);
    for (const flag of command.flags) assert.ok(cli.includes(`- \`--${flag.name}`), flag.name);
  }
});

test('config/chatmail.example.ini is free of values: all of them are commented out', () => {
  const lines = content('config/chatmail.example.ini').split('\n');
  assert.deepEqual(
    lines.filter((line) => line !== '' && !line.startsWith('#')),
    ['[params]'],
  );
});
