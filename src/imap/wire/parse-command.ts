import type { Command, Parsed } from './command.ts';
import { parseFetch } from './parse-fetch.ts';
import {
  parseList,
  parseLsub,
  parseOneMailbox,
  parseRename,
  parseSelect,
  parseStatus,
} from './parse-mailbox.ts';
import { parseAppend, parseCopy, parseStore, parseUidExpunge } from './parse-message.ts';
import { parseGetMetadata, parseSetMetadata } from './parse-metadata.ts';
import { parseGetQuota, parseGetQuotaRoot, parseSetQuota } from './parse-quota.ts';
import { parseSearch } from './parse-search.ts';
import { parseAuthenticate, parseCompress, parseEnable, parseId, parseLogin } from './parse-session.ts';
import { Problem, Reader } from './reader.ts';

type Parse = (reader: Reader) => Command;

const commands = new Map<string, Parse>([
  ...(['CAPABILITY', 'NOOP', 'LOGOUT', 'STARTTLS', 'NAMESPACE', 'IDLE'] as const).map(alone),
  ...(['CHECK', 'CLOSE', 'UNSELECT', 'EXPUNGE'] as const).map(alone),
  ['ID', parseId],
  ['ENABLE', parseEnable],
  ['COMPRESS', parseCompress],
  ['LOGIN', parseLogin],
  ['AUTHENTICATE', parseAuthenticate],
  ['SELECT', (reader) => parseSelect('SELECT', reader)],
  ['EXAMINE', (reader) => parseSelect('EXAMINE', reader)],
  ...(['CREATE', 'DELETE', 'SUBSCRIBE', 'UNSUBSCRIBE'] as const).map((name): [string, Parse] => [
    name,
    (reader) => parseOneMailbox(name, reader),
  ]),
  ['RENAME', parseRename],
  ['STATUS', parseStatus],
  ['LIST', parseList],
  ['LSUB', parseLsub],
  ['APPEND', parseAppend],
  ['SEARCH', (reader) => parseSearch(false, reader)],
  ['FETCH', (reader) => parseFetch(false, reader)],
  ['STORE', (reader) => parseStore(false, reader)],
  ['COPY', (reader) => parseCopy('COPY', false, reader)],
  ['MOVE', (reader) => parseCopy('MOVE', false, reader)],
  ['GETQUOTA', parseGetQuota],
  ['GETQUOTAROOT', parseGetQuotaRoot],
  ['SETQUOTA', parseSetQuota],
  ['GETMETADATA', parseGetMetadata],
  ['SETMETADATA', parseSetMetadata],
]);

/** RFC 9051 `uid = "UID" SP (copy / move / fetch / search / store / uid-expunge)`. */
const uidCommands = new Map<string, Parse>([
  ['SEARCH', (reader) => parseSearch(true, reader)],
  ['FETCH', (reader) => parseFetch(true, reader)],
  ['STORE', (reader) => parseStore(true, reader)],
  ['COPY', (reader) => parseCopy('COPY', true, reader)],
  ['MOVE', (reader) => parseCopy('MOVE', true, reader)],
  ['EXPUNGE', parseUidExpunge],
]);

function alone(
  name:
    | 'CAPABILITY'
    | 'NOOP'
    | 'LOGOUT'
    | 'STARTTLS'
    | 'NAMESPACE'
    | 'IDLE'
    | 'CHECK'
    | 'CLOSE'
    | 'UNSELECT'
    | 'EXPUNGE',
): [string, Parse] {
  return [name, () => ({ name })];
}

/** Tags come back in answers: one that is longer than this is no tag of an honest client. */
const MAX_TAG = 100;

/**
 * Reads one command as the splitter gives it (`pieces`: line text and literals by turns). Never throws: whatever the
 * bytes, the answer is a command or the text of a BAD. Costs time linear in the bytes. Nothing of what the client sent
 * is in a problem's text, so it can be logged.
 */
export function parseCommand(pieces: readonly Buffer[]): Parsed {
  const reader = new Reader(pieces);
  const tag = reader.tag();
  if (tag === undefined || tag.length > MAX_TAG || !(reader.peek() === ' ' || reader.atEnd()))
    return { problem: 'Invalid tag' };
  try {
    return { tag, command: afterTag(reader) };
  } catch (error) {
    if (error instanceof Problem) return { tag, problem: error.message };
    throw error;
  }
}

function afterTag(reader: Reader): Command {
  if (reader.atEnd()) throw new Problem('Missing command');
  let parse = commandNamed(commands, reader);
  if (!parse) {
    if (!reader.takenWord('UID')) throw new Problem('Unknown command');
    reader.space();
    parse = commandNamed(uidCommands, reader);
    if (!parse) throw new Problem('Unknown UID command');
  }
  const command = parse(reader);
  reader.end();
  return command;
}

function commandNamed(table: ReadonlyMap<string, Parse>, reader: Reader): Parse | undefined {
  const name = reader.peekWord();
  const parse = table.get(name);
  if (parse) reader.takenWord(name);
  return parse;
}
