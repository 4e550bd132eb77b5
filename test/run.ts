/**
 * `npm test`: format, types, lint, then every test. Names each real peer that is not installed; with
 * TEAL_REQUIRE_PEERS=1 (.ci/run) a missing one is a failure. Ends in the count of node's own test runner.
 * Paths on the command line run those test files alone, without the checks.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { leftOut } from './harness/peers.ts';

/** One test may take this long. */
const TEST_TIMEOUT_MS = 180_000;
/** All of them together; a test that timed out may keep its file from ending. */
const TOTAL_TIMEOUT_MS = 1_200_000;

function run(title: string, args: readonly string[]): void {
  const started = performance.now();
  // On SIGTERM node's test runner ends its files and counts what there is.
  const { status, error } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    timeout: TOTAL_TIMEOUT_MS,
  });
  if (status !== 0) {
    console.error(`${title}: failed${error === undefined ? '' : ` (${error.message})`}`);
    process.exit(status ?? 1);
  }
  if (title !== 'tests') console.log(`${title}: ok (${((performance.now() - started) / 1000).toFixed(1)} s)`);
}

const chosen = process.argv.slice(2);
if (chosen.length === 0) {
  run('format', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.']);
  run('types', ['node_modules/@typescript/native/bin/tsc', '--noEmit']);
  run('lint', ['node_modules/eslint/bin/eslint.js', '--max-warnings', '0', '.']);
}

const missing = leftOut();
for (const line of missing) console.log(line);
if (missing.length > 0 && process.env['TEAL_REQUIRE_PEERS'] === '1') {
  console.error('tests: every peer must be here (TEAL_REQUIRE_PEERS=1)');
  process.exit(1);
}

run('tests', [
  '--test',
  '--test-concurrency=2',
  `--test-timeout=${TEST_TIMEOUT_MS}`,
  '--test-reporter=spec',
  ...(chosen.length > 0 ? chosen : globSync('test/**/*.test.ts').sort()),
]);
