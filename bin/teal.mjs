#!/usr/bin/env node
// The launcher: plain JavaScript, because it must run on whatever Node the machine has (20 or newer).
// Teal itself needs Node 24.15 or newer, which runs TypeScript as it is; npm brought one along
// (package.json, optionalDependencies).
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const main = new URL('../src/main.ts', import.meta.url);
// What Node makes of the TypeScript is kept beside the packages, for threads and for the next start too: half the time,
// and 50 MB less. Where it may not be written nothing is kept, and nothing fails.
process.env.NODE_COMPILE_CACHE ||= fileURLToPath(new URL('../node_modules/.cache/teal', import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > 24 || (major === 24 && minor >= 15)) {
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  await import(main.href);
} else {
  const bundled = fileURLToPath(
    new URL(`../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url),
  );
  if (!existsSync(bundled)) {
    console.error(
      `teal: needs Node 24.15 or newer, this is ${process.version}, and none came with npm ci (is ${bundled} left out by --omit=optional?)`,
    );
    process.exit(1);
  }
  const child = spawn(bundled, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    // What a shell says of a program that a signal ended.
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}
