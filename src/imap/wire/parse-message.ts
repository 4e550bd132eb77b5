import type { Command } from './command.ts';
import { parseDateTime } from './date-time.ts';
import { canonicalFlag } from './flags.ts';
import { Problem } from './reader.ts';
import type { Reader } from './reader.ts';

/** Flags in one command: far above what a message is given, and a store keeps each with the message. */
const MAX_FLAGS = 64;
/** Octets of a keyword. */
const MAX_FLAG_LENGTH = 100;

/** RFC 9051 `append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP append-data`, one message, no extensions. */
export function parseAppend(reader: Reader): Command {
  reader.space();
  const mailbox = reader.mailbox();
  reader.space();
  let flags: string[] = [];
  if (reader.peek() === '(') {
    flags = flagsIn(reader);
    reader.space();
  }
  let internalDate: number | undefined;
  if (reader.peek() === '"') {
    internalDate = parseDateTime(reader.quoted('a date').toString('latin1'));
    if (internalDate === undefined) throw new Problem('Invalid date-time');
    reader.space();
  }
  const message = reader.literal('the message as a literal');
  return { name: 'APPEND', mailbox, flags, ...(internalDate !== undefined && { internalDate }), message };
}

/** `UID EXPUNGE` (RFC 4315 2.1) has a set, EXPUNGE has none. */
export function parseUidExpunge(reader: Reader): Command {
  reader.space();
  return { name: 'EXPUNGE', set: reader.sequenceSet() };
}

/** RFC 9051 `copy`, RFC 6851 `move`: `SP sequence-set SP mailbox`. */
export function parseCopy(name: 'COPY' | 'MOVE', uid: boolean, reader: Reader): Command {
  reader.space();
  const set = reader.sequenceSet();
  reader.space();
  return { name, uid, set, mailbox: reader.mailbox() };
}

const STORE_ITEM = /([+-]?)FLAGS(\.SILENT)?(?![^ (])/iy;

/**
 * RFC 9051 `store = "STORE" SP sequence-set SP store-att-flags`, with RFC 4466 `store-modifiers` between. Flags may stand without brackets.
 */
export function parseStore(uid: boolean, reader: Reader): Command {
  reader.space();
  const set = reader.sequenceSet();
  reader.space();
  let unchangedSince: number | undefined;
  if (reader.peek() === '(') {
    reader.filledList(() => {
      if (!reader.takenWord('UNCHANGEDSINCE')) throw new Problem('Unknown STORE modifier');
      reader.space();
      unchangedSince = reader.number('a mod-sequence');
    });
    reader.space();
  }
  const item = reader.match(STORE_ITEM);
  if (!item) throw new Problem('Expected FLAGS');
  reader.skipSpaces();
  return {
    name: 'STORE',
    uid,
    set,
    action: item[1] === '+' ? 'add' : item[1] === '-' ? 'remove' : 'set',
    silent: item[2] !== undefined,
    flags: reader.peek() === '(' ? flagsIn(reader) : bareFlags(reader),
    ...(unchangedSince !== undefined && { unchangedSince }),
  };
}

/** RFC 9051 `flag-list = "(" [flag *(SP flag)] ")"`. */
function flagsIn(reader: Reader): string[] {
  return clean(reader.list(() => flag(reader), MAX_FLAGS));
}

function bareFlags(reader: Reader): string[] {
  const flags = [flag(reader)];
  while (!reader.atEnd()) {
    if (flags.length === MAX_FLAGS) throw new Problem('Too many flags');
    flags.push(flag(reader));
  }
  return clean(flags);
}

/** RFC 9051 `flag`; unknown ones with a backslash are an error, only keywords can be made up. */
function flag(reader: Reader): string {
  const system = reader.taken('\\');
  const name = `${system ? '\\' : ''}${reader.atom('a flag')}`;
  if (name.length > MAX_FLAG_LENGTH) throw new Problem('Flag too long');
  const known = canonicalFlag(name);
  if (known === undefined) throw new Problem('Unknown system flag');
  return known;
}

/** Each once; without \Recent, which clients hand back though it cannot be stored (RFC 3501 2.3.2). */
function clean(flags: readonly string[]): string[] {
  const once = new Map(flags.map((name) => [name.toLowerCase(), name]));
  once.delete('\\recent');
  return [...once.values()];
}
