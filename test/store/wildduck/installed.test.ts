import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkInstalled } from '../../../src/store/wildduck/installed.ts';

test('a store whose packages npm has left out says which, and what brings them', () => {
  const only = (installed: RegExp) => (name: string) => {
    if (!installed.test(name)) throw new Error(`Cannot find module '${name}'`);
    return name;
  };
  checkInstalled(only(/./));
  assert.throws(
    () => checkInstalled(only(/mongodb/)),
    /needs wildduck, .* npm ci brings .* Node 22\.19 or newer/,
  );
  assert.throws(() => checkInstalled(only(/^$/)), /needs mongodb and wildduck, /);
});
