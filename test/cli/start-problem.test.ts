import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProblem } from '../../src/cli/start-problem.ts';

function systemError(code: string, more: Record<string, unknown> = {}): Error {
  return Object.assign(new Error(`${code}: in the words of the system`), { code, ...more });
}

test('what the system says of the data directory is told in words, with the path', () => {
  const rows: readonly [Error, RegExp][] = [
    [
      systemError('EACCES', { path: '/data/lock' }),
      /^\/data\/lock may not be read and written by this user; /,
    ],
    [
      systemError('EPERM', { path: '/data/lock' }),
      /^\/data\/lock may not be read and written by this user; /,
    ],
    [systemError('EACCES'), /^\/data may not be/],
    [systemError('EROFS', { path: '/data/x' }), /^\/data\/x is on a disk that can only be read/],
    [systemError('ENOTDIR', { path: '/data/x' }), /a file in the way of the directory that \/data\/x needs/],
    [systemError('EEXIST', { path: '/data' }), /a file in the way/],
    [systemError('ENOSPC', { path: '/data/x' }), /^the disk has no room left for \/data\/x$/],
    [systemError('EDQUOT'), /^the disk has no room left for \/data$/],
    [systemError('ERR_SQLITE_ERROR'), /^\/data: ERR_SQLITE_ERROR: in the words/],
  ];
  for (const [error, words] of rows) assert.match(startProblem(error, '/data'), words);
});

test('what nobody has foreseen keeps its own words', () => {
  assert.equal(startProblem(new Error('port 25 is taken'), '/data'), 'port 25 is taken');
  assert.match(startProblem(systemError('EIO'), '/data'), /^EIO: in the words/);
});
