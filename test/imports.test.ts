import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/** Rows from the top: a file imports from rows below its own, or from its own folder. docs/architecture.md has the drawing. */
const rows: readonly (readonly string[])[] = [
  ['main', 'relay', 'machine', 'stores', 'zone-facts', 'cli', 'trial', 'heavy'],
  ['smtp', 'imap', 'http', 'admin'],
  ['mailflow', 'move'],
  ['queue', 'accounts', 'notify'],
  ['filter', 'authenticity', 'outbound'],
  ['store', 'dkim', 'tls', 'limits'],
  ['workers', 'dns', 'observe', 'settings', 'due-work'],
  ['message', 'imap/wire', 'errors', 'clock'],
];

/** `src/imap/wire/x.ts` → `imap/wire`, `src/errors.ts` → `errors`. */
function partOf(path: string): string {
  const inside = path.replace(/^src\//, '').replace(/\.ts$/, '');
  return inside.startsWith('imap/wire/') ? 'imap/wire' : (inside.split('/')[0] ?? inside);
}

function rowOf(part: string): number {
  return rows.findIndex((row) => row.includes(part));
}

/** What is wrong with one import, undefined where nothing is. */
export function breach(from: string, to: string): string | undefined {
  const [a, b] = [partOf(from), partOf(to)];
  if (rowOf(a) < 0) return `${a} is in no row`;
  if (rowOf(b) < 0) return `${b} is in no row`;
  // The top row is what a person starts: main and the commands may name one another, and relay.
  if (a === b || (rowOf(a) === 0 && rowOf(b) === 0)) return undefined;
  if (rowOf(a) >= rowOf(b)) return `${a} may not import ${b}`;
  // A backend is named in stores.ts alone; everybody else knows the contract.
  if (b === 'store' && to !== 'src/store/contract.ts' && a !== 'stores')
    return `${a} may import only the contract of store`;
  return undefined;
}

const imports = globSync('src/**/*.ts').flatMap((from) =>
  [...readFileSync(from, 'utf8').matchAll(/(?:from|import\(|new URL\()\s*'(\.[^']+\.ts)'/g)].map((match) => ({
    from,
    to: normalize(join(dirname(from), match[1] ?? '')),
  })),
);

test('imports point down only, and never sideways', () => {
  assert.ok(imports.length > 20, 'the pattern finds imports');
  const breaches = imports
    .map(({ from, to }) => ({ from, to, why: breach(from, to) }))
    .filter(({ why }) => why);
  assert.deepEqual(breaches, []);
});

test('the rule itself tells right from wrong', () => {
  assert.equal(breach('src/imap/session.ts', 'src/store/contract.ts'), undefined);
  assert.equal(breach('src/imap/session.ts', 'src/imap/wire/tokens.ts'), undefined);
  assert.equal(breach('src/stores.ts', 'src/store/sqlite/open.ts'), undefined);
  assert.equal(breach('src/imap/wire/tokens.ts', 'src/imap/session.ts'), 'imap/wire may not import imap');
  assert.equal(breach('src/smtp/inbound.ts', 'src/imap/session.ts'), 'smtp may not import imap');
  assert.equal(breach('src/store/contract.ts', 'src/mailflow/receive.ts'), 'store may not import mailflow');
  for (const part of ['imap/session', 'relay'])
    assert.match(
      breach(`src/${part}.ts`, 'src/store/sqlite/open.ts') ?? '',
      /may import only the contract of store$/,
    );
});

test('only settings/load.ts reads the environment, only machine.ts takes clock and chance from the system', () => {
  const uses = (pattern: RegExp, allowed: readonly string[]) =>
    globSync('src/**/*.ts').filter(
      (path) => !allowed.includes(path) && pattern.test(readFileSync(path, 'utf8')),
    );
  // WildDuck has a switch of its own there, which has to be thrown before it is loaded.
  assert.deepEqual(uses(/process\.env/, ['src/settings/load.ts', 'src/store/wildduck/wildduck.ts']), []);
  assert.deepEqual(uses(/Date\.now\(|Math\.random\(|\brandomBytes\(/, ['src/machine.ts']), []);
});

test('no file is longer than 600 lines', () => {
  const long = globSync('{src,test}/**/*.ts').filter(
    (path) => readFileSync(path, 'utf8').split('\n').length > 601,
  );
  assert.deepEqual(long, []);
});
