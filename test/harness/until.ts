import assert from 'node:assert/strict';

/** How long what a test waits for may take: far more than a loaded machine needs. */
const PATIENCE_MS = 15_000;

/** Resolves when `condition` holds; looks after every turn of the loop. `what` completes "waited in vain until". */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > end) assert.fail(`waited in vain until ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Lets `turns` turns of the loop pass: for what must not happen. */
export async function turns(count = 20): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
}
