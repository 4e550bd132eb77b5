import type { Command, StatusItem } from './command.ts';
import { statusItems } from './command.ts';
import { Problem } from './reader.ts';
import type { Reader } from './reader.ts';

/** LIST-EXTENDED patterns in one command: each is tried on each mailbox. */
const MAX_PATTERNS = 10;
/** Options with a value of their own may hold brackets in brackets. */
const MAX_DEPTH = 10;

/** RFC 9051 `select = "SELECT" SP mailbox`, RFC 4466 `select-params = SP "(" select-param *(SP select-param) ")"`. */
export function parseSelect(name: 'SELECT' | 'EXAMINE', reader: Reader): Command {
  reader.space();
  const mailbox = reader.mailbox();
  if (reader.atEnd()) return { name, mailbox, condstore: false };
  // RFC 7162 3.1.8; QRESYNC is not offered, so it is an error like any unknown one.
  reader.filledList(() => {
    if (!reader.takenWord('CONDSTORE')) throw new Problem(`Unknown ${name} parameter`);
  });
  return { name, mailbox, condstore: true };
}

/** RFC 9051 `create`, `delete`, `subscribe`, `unsubscribe`: one mailbox. */
export function parseOneMailbox(
  name: 'CREATE' | 'DELETE' | 'SUBSCRIBE' | 'UNSUBSCRIBE',
  reader: Reader,
): Command {
  reader.space();
  return { name, mailbox: reader.mailbox() };
}

/** RFC 9051 `rename = "RENAME" SP mailbox SP mailbox`. */
export function parseRename(reader: Reader): Command {
  reader.space();
  const from = reader.mailbox();
  reader.space();
  return { name: 'RENAME', from, to: reader.mailbox() };
}

/** RFC 9051 `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`. */
export function parseStatus(reader: Reader): Command {
  reader.space();
  const mailbox = reader.mailbox();
  reader.space();
  return { name: 'STATUS', mailbox, items: statusList(reader) };
}

function statusList(reader: Reader): StatusItem[] {
  const items = reader.filledList(() => {
    const word = reader.word('a status item');
    const item = statusItems.find((known) => known === word);
    if (!item) throw new Problem('Unknown status item');
    return item;
  });
  return [...new Set(items)];
}

/** RFC 3501 `lsub = "LSUB" SP mailbox SP list-mailbox`. */
export function parseLsub(reader: Reader): Command {
  reader.space();
  const reference = reader.mailbox();
  reader.space();
  return { name: 'LSUB', reference, pattern: reader.mailboxPattern() };
}

/**
 * RFC 9051 `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`. Options are read as
 * names, so that those of later extensions get a clean answer from the session.
 */
export function parseList(reader: Reader): Command {
  reader.space();
  let selection: string[] = [];
  if (reader.peek() === '(') {
    selection = reader.list(() => option(reader));
    reader.space();
  }
  const reference = reader.mailbox();
  reader.space();
  const patterns =
    reader.peek() === '('
      ? reader.filledList(() => reader.mailboxPattern(), MAX_PATTERNS)
      : [reader.mailboxPattern()];

  let returns: string[] = [];
  let status: StatusItem[] = [];
  if (!reader.atEnd()) {
    if (!reader.takenWord('RETURN')) throw new Problem('Expected RETURN');
    reader.space();
    returns = reader.list(() => {
      // RFC 5819: `STATUS (…)`.
      if (!reader.takenWord('STATUS')) return option(reader);
      reader.space();
      status = statusList(reader);
      return 'STATUS';
    });
  }
  return { name: 'LIST', reference, patterns, selection, returns, status };
}

/** RFC 5258 `option-extension = (option-standard-tag / option-vendor-tag) [SP option-value]`; the value is passed over. */
function option(reader: Reader): string {
  const name = reader.word('an option');
  if (reader.peekPastSpaces() === '(') {
    reader.skipSpaces();
    passOver(reader, 1);
  }
  return name;
}

function passOver(reader: Reader, depth: number): void {
  if (depth > MAX_DEPTH) throw new Problem('Brackets too deep');
  reader.list(() => {
    if (reader.peek() === '(') passOver(reader, depth + 1);
    else reader.astring('a value');
  });
}
