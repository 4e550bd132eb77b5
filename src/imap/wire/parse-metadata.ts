import type { Command } from './command.ts';
import { Problem } from './reader.ts';
import type { Reader } from './reader.ts';

/** Entries in one command; Delta Chat asks for six. */
const MAX_ENTRIES = 100;
/** Octets of an entry name. */
const MAX_ENTRY_NAME = 255;

/** There are two options. */
const MAX_OPTIONS = 10;

type MetadataOptions = Pick<Extract<Command, { name: 'GETMETADATA' }>, 'depth' | 'maxSize'>;

/**
 * RFC 5464 `getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries`. The RFC's own examples put the
 * options behind the mailbox; both places are taken.
 */
export function parseGetMetadata(reader: Reader): Command {
  reader.space();
  const front = reader.peek() === '(' ? reader.filledList(() => option(reader), MAX_OPTIONS) : undefined;
  if (front) reader.space();
  const mailbox = reader.mailbox();
  reader.space();
  if (reader.peek() !== '(') return get(mailbox, [entryName(reader)], front ?? []);

  // Behind the mailbox a list is either entries or options.
  const list = reader.filledList(() => (atEntry(reader) ? entryName(reader) : option(reader)), MAX_ENTRIES);
  const entries = list.filter((element) => typeof element === 'string');
  const options = list.filter((element) => typeof element !== 'string');
  if (options.length === 0) return get(mailbox, entries, front ?? []);
  if (entries.length > 0 || front) throw new Problem('Invalid entry name');
  reader.space();
  const names =
    reader.peek() === '(' ? reader.filledList(() => entryName(reader), MAX_ENTRIES) : [entryName(reader)];
  return get(mailbox, names, options);
}

function atEntry(reader: Reader): boolean {
  return reader.peek() === '/' || reader.peek() === '"' || reader.atLiteral();
}

function get(
  mailbox: string,
  entries: readonly string[],
  options: readonly Partial<MetadataOptions>[],
): Command {
  return { name: 'GETMETADATA', mailbox, entries: [...new Set(entries)], depth: 0, ...mergeOptions(options) };
}

function mergeOptions(options: readonly Partial<MetadataOptions>[]): Partial<MetadataOptions> {
  return options.reduce((sum, each) => ({ ...sum, ...each }), {});
}

/** RFC 5464 `maxsize-opt = "MAXSIZE" SP number`, `scope-opt = "DEPTH" SP ("0" / "1" / "infinity")`. */
function option(reader: Reader): Partial<MetadataOptions> {
  const name = reader.word('an option');
  reader.space();
  if (name === 'MAXSIZE') return { maxSize: reader.number('a size') };
  if (name !== 'DEPTH') throw new Problem('Unknown GETMETADATA option');
  const depth = reader.word('a depth');
  if (depth === 'INFINITY') return { depth: 'infinity' };
  if (depth === '0') return { depth: 0 };
  if (depth === '1') return { depth: 1 };
  throw new Problem('Unknown depth');
}

/** RFC 5464 `setmetadata = "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"`, `value = nstring / literal8`. */
export function parseSetMetadata(reader: Reader): Command {
  reader.space();
  const mailbox = reader.mailbox();
  reader.space();
  const entries = reader.filledList(() => {
    const entry = entryName(reader);
    reader.space();
    // `~{n}` of a literal8: the mark alone, the literal is like any other.
    const marked = reader.taken('~');
    return { entry, value: marked ? reader.literal('a value') : reader.nstring('a value') };
  }, MAX_ENTRIES);
  return { name: 'SETMETADATA', mailbox, entries };
}

/** RFC 5464 3.2: begins with `/`, does not end with it, no `//`, no wildcards, no control or non-ASCII characters. */
function entryName(reader: Reader): string {
  const name = reader.astring('an entry name').toString('latin1');
  if (name.length > MAX_ENTRY_NAME || !/^(?:\/[^\x00-\x1f*%/\x7f-\xff]+)+$/.test(name))
    throw new Problem('Invalid entry name');
  return name.toLowerCase();
}
