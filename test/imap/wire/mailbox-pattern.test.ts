import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesPattern, MAX_PATTERN } from '../../../src/imap/wire/mailbox-pattern.ts';

test('* stands for anything, % for one level', () => {
  const cases: readonly (readonly [
    pattern: string,
    matching: readonly string[],
    other: readonly string[],
  ])[] = [
    ['*', ['INBOX', 'a/b/c', ''], []],
    ['%', ['INBOX', 'a'], ['a/b']],
    ['%/%', ['a/b', '/'], ['a', 'a/b/c']],
    ['a/*', ['a/', 'a/b', 'a/b/c'], ['a', 'ba/']],
    ['a%', ['a', 'abc'], ['a/b', 'ba']],
    ['*b', ['b', 'ab', 'a/b'], ['ba']],
    ['%b%', ['abc', 'b'], ['a/b']],
    ['a*b*c', ['abc', 'axbxc', 'a/b/bcc'], ['ab', 'acb']],
    ['inbox', ['INBOX'], ['inbox2']],
    ['INB%', ['INBOX'], ['inbox']],
    ['', [''], ['a']],
    ['Archive', ['Archive'], ['archive']],
    ['a.c', ['a.c'], ['abc']],
    ['**%%*', ['a/b'], []],
  ];
  for (const [pattern, matching, other] of cases) {
    for (const name of matching) assert.ok(matchesPattern(name, pattern), `${pattern} ${name}`);
    for (const name of other) assert.ok(!matchesPattern(name, pattern), `${pattern} ${name}`);
  }
});

test('patterns with many wildcards cost pattern times name', () => {
  const name = 'a'.repeat(1000);
  const started = performance.now();
  for (const stars of [5, 50, 126]) assert.ok(!matchesPattern(name, `${'*a'.repeat(stars)}*b`));
  assert.ok(!matchesPattern(name, '%*'.repeat(127) + 'b'));
  // imap-core: 20 s for five stars and a name of 120 (wildduck.md 3.3).
  assert.ok(performance.now() - started < 1000);
  assert.ok(matchesPattern(name, '*'.repeat(MAX_PATTERN)));
  assert.ok(!matchesPattern(name, '*'.repeat(MAX_PATTERN + 1)), 'longer patterns match nothing');
});
