import assert from 'node:assert/strict';

/** How much more input is tried, and how much more time that may take: linear is 8, quadratic 64. */
const FACTOR = 8;
const MOST = 30;
/** Below this many milliseconds a time says nothing. */
const FLOOR = 1;
const ROUNDS = 5;

/**
 * Fails where `run` takes much more than eight times as long for eight times the `size`. `prepare` is not counted. The
 * best of five counts, in processor time of this thread, so that a busy machine does no harm.
 */
export function assertLinear<T>(
  what: string,
  size: number,
  prepare: (size: number) => T,
  run: (input: T) => void,
): void {
  const [little, much] = [best(prepare(size), run), best(prepare(size * FACTOR), run)];
  assert.ok(
    much < MOST * Math.max(little, FLOOR),
    `${what}: ${little.toFixed(1)} ms, then ${much.toFixed(1)} ms for ${String(FACTOR)} times as much`,
  );
}

function best<T>(input: T, run: (input: T) => void): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.threadCpuUsage();
    run(input);
    const { user, system } = process.threadCpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}
