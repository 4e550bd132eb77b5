import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { commands } from '../src/cli/commands.ts';
import { table } from '../src/settings/table.ts';

const root = join(import.meta.dirname, '..');
const pages = ['README.md', 'CHANGELOG.md', ...globSync('docs/*.md', { cwd: root })];
const read = (page: string) => readFileSync(join(root, page), 'utf8');

/** GitHub's name for a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsOf(page: string): Set<string> {
  return new Set([...read(page).matchAll(/^#+ (.+)$/gm)].map((match) => anchor(match[1] ?? '')));
}

/** The first word of every back-quoted text on the page. */
function quotedOn(page: string): string[] {
  return [...read(page).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? '');
}

describe('every link within the project leads somewhere', () => {
  for (const page of pages)
    test(page, () => {
      const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
      const broken = links.filter((link) => {
        if (/^[a-z]+:/.test(link)) return false;
        const [path = '', name] = link.split('#');
        const target = path === '' ? page : join(dirname(page), path);
        if (!existsSync(join(root, target))) return true;
        return name !== undefined && !anchorsOf(target).has(name);
      });
      assert.deepEqual(broken, []);
    });
});

test('every page in docs is named in docs/README.md', () => {
  const missing = pages.filter(
    (page) =>
      page.startsWith('docs/') &&
      page !== 'docs/README.md' &&
      !read('docs/README.md').includes(`(${page.slice(5)})`),
  );
  assert.deepEqual(missing, []);
});

test('the quickstart fits on one screen', () => {
  assert.ok(read('docs/quickstart.md').split('\n').length <= 50);
});

/** Whether `name` looks like a file or folder of ours: `limits/admission.ts`, `store/sqlite/`, `test/contract/`. */
const isPath = (name: string) =>
  !name.startsWith('multipart/') && /^[\w.-]+(?:\/[\w.-]*)+$|^[\w-]+\.(?:ts|md|ini|mjs)$/.test(name);

test('every file that docs/architecture.md names is there: below src, or else below the project', () => {
  const paths = quotedOn('docs/architecture.md').filter(isPath);
  assert.ok(paths.length > 30, 'the pattern finds paths');
  assert.deepEqual(
    paths.filter((path) => !existsSync(join(root, 'src', path)) && !existsSync(join(root, path))),
    [],
  );
});

test('every command, setting and script that the pages for people name is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const names = new Set(commands.map(({ name }) => name));
  for (const page of ['README.md', 'CHANGELOG.md', 'docs/README.md', 'docs/architecture.md'])
    for (const text of quotedOn(page)) {
      const command = /^(?:npx )?teal ([a-z]+(?: [a-z]+)?)/.exec(text)?.[1];
      if (command !== undefined) assert.ok(names.has(command), `${page}: ${text}`);
      const script = /^npm run (\S+)/.exec(text)?.[1];
      if (script !== undefined) assert.ok(script in scripts, `${page}: ${text}`);
      if (/^[a-z]+(?:_[a-z0-9]+)+$/.test(text)) assert.ok(Object.hasOwn(table, text), `${page}: ${text}`);
    }
});
