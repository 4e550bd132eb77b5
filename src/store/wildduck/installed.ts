import { createRequire } from 'node:module';

/** What this store needs of npm's optional packages. */
const PACKAGES = ['mongodb', 'wildduck/package.json'];

/**
 * Throws, with a text for the operator, where npm has left the packages out: it does that without a word where the Node
 * that it runs on is too old for them. This file imports none of them, so that it can say so.
 */
export function checkInstalled(
  resolve: (name: string) => string = createRequire(import.meta.url).resolve,
): void {
  const missing = PACKAGES.filter((name) => {
    try {
      resolve(name);
      return false;
    } catch {
      return true;
    }
  }).map((name) => name.replace('/package.json', ''));
  if (missing.length > 0)
    throw new Error(
      `the store wildduck needs ${missing.join(' and ')}, which npm has not installed: npm ci brings the optional ` +
        'packages when it runs on Node 22.19 or newer (docs/scale-out.md)',
    );
}
