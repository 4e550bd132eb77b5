import assert from 'node:assert/strict';
import type { Command, Parsed } from '../../src/imap/wire/command.ts';
import { parseCommand } from '../../src/imap/wire/parse-command.ts';

/** Pieces of a command without its tag: line text and literals by turns, one character for each byte. */
export type Pieces = readonly [string, ...string[]];

/** Parses whole pieces, tag and all. */
export function parseText(...pieces: readonly string[]): Parsed {
  return parseCommand(pieces.map((piece) => Buffer.from(piece, 'latin1')));
}

/** The command; fails where there is a problem. */
export function commandOf(...[line, ...rest]: Pieces): Command {
  const parsed = parseText(`t ${line}`, ...rest);
  assert.ok(
    'command' in parsed,
    `${[line, ...rest].join('|')}: ${'problem' in parsed ? parsed.problem : ''}`,
  );
  return parsed.command;
}

/** The problem; fails where there is none, or its text could not be sent. */
export function problemOf(...[line, ...rest]: Pieces): string {
  const parsed = parseText(`t ${line}`, ...rest);
  assert.ok('problem' in parsed, [line, ...rest].join('|'));
  assert.equal(parsed.tag, 't');
  assert.match(parsed.problem, /^[\x20-\x7e]+$/);
  return parsed.problem;
}
