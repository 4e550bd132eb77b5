import { printableExcept, Scanner } from '../../message/tokens.ts';

/** RFC 9051 `address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"`; undefined is NIL. */
export interface EnvelopeAddress {
  readonly name?: string;
  /** The source route of old (RFC 5322 4.4). */
  readonly route?: string;
  /** NIL ends a group. */
  readonly mailbox?: string;
  /** NIL in the entries that begin and end a group; '' where an address has no domain. */
  readonly host?: string;
}

/** Addresses of one field; further ones are left out. Chat groups have some hundred members. */
export const MAX_ADDRESSES = 2000;

/** What words of a name and dot-atoms are made of; bytes above ASCII are common there. */
const word = new Uint8Array(printableExcept('()<>@,;:"[]')).fill(1, 0x80);
const domainText = new Uint8Array(printableExcept('()<>@,;:"')).fill(1, 0x80);
const literalText = printableExcept('()<>@,;"');
const routeText = new Uint8Array(printableExcept('<>:"()')).fill(1, 0x80);

/**
 * Reads the value of an address field (RFC 5322 3.4) for ENVELOPE: leniently, as this is for showing and not for
 * deciding; nothing is decoded. Never throws, linear.
 */
export function parseAddresses(value: string): EnvelopeAddress[] {
  const scanner = new Scanner(value);
  const addresses: EnvelopeAddress[] = [];
  let inGroup = false;
  while (!scanner.done && addresses.length < MAX_ADDRESSES) {
    const words = readWords(scanner);
    const next = scanner.text[scanner.at];
    if (next === '<') {
      scanner.at++;
      addresses.push(readAngle(scanner, words.phrase));
    } else if (next === '@') {
      scanner.at++;
      const host = readDomain(scanner);
      const name = words.comment ?? readComment(scanner);
      addresses.push({ ...(name && { name }), mailbox: words.joined, host });
    } else if (next === ':') {
      scanner.at++;
      if (inGroup) addresses.push({});
      inGroup = true;
      addresses.push({ mailbox: words.phrase });
      continue;
    } else if (words.joined !== '') {
      addresses.push({ ...(words.comment && { name: words.comment }), mailbox: words.joined, host: '' });
    }
    if (skipToSeparator(scanner) === ';' && inGroup) {
      inGroup = false;
      addresses.push({});
    }
  }
  if (inGroup) addresses.push({});
  return addresses;
}

interface Words {
  /** As a display name: blanks between words, quotes resolved. */
  readonly phrase: string;
  /** As a local part: nothing between. */
  readonly joined: string;
  /** The last comment, an old way to write the name. */
  readonly comment?: string;
}

function readWords(scanner: Scanner): Words {
  const words: string[] = [];
  let comment: string | undefined;
  for (;;) {
    comment = readComment(scanner) ?? comment;
    const next = scanner.text[scanner.at];
    if (next === '"') words.push(quoted(scanner));
    // A bracket has no meaning outside a domain.
    else if (next === '[' || next === ']') scanner.at++;
    else {
      const text = scanner.run(word);
      if (text === '') break;
      words.push(text);
    }
  }
  return {
    phrase: words.join(' ').trim(),
    joined: words.join(''),
    ...(comment !== undefined && { comment }),
  };
}

/** The rest of the value where the string does not end. */
function quoted(scanner: Scanner): string {
  const from = scanner.at + 1;
  return scanner.quotedString() ?? scanner.text.slice(from);
}

/** Steps over blanks and comments; the last comment's text. */
function readComment(scanner: Scanner): string | undefined {
  let found: string | undefined;
  for (;;) {
    scanner.skipBlank();
    if (scanner.text[scanner.at] !== '(') return found;
    const comment = scanner.comment();
    if (comment === undefined) return found;
    found = comment.slice(1, -1).replace(/\\(.)/g, '$1').trim() || found;
  }
}

/** `<` is taken. RFC 5322 `angle-addr`, with `obs-route`. */
function readAngle(scanner: Scanner, name: string): EnvelopeAddress {
  readComment(scanner);
  let route = '';
  if (scanner.text[scanner.at] === '@') {
    route = scanner.run(routeText);
    scanner.take(':');
  }
  const mailbox = readWords(scanner).joined;
  const host = scanner.take('@') ? readDomain(scanner) : '';
  readComment(scanner);
  const comment = scanner.take('>') ? readComment(scanner) : undefined;
  const shown = name || comment;
  return { ...(shown && { name: shown }), ...(route && { route }), mailbox, host };
}

function readDomain(scanner: Scanner): string {
  scanner.skipBlank();
  // RFC 5322 domain-literal: an IPv6 address has colons.
  return scanner.text[scanner.at] === '[' ? scanner.run(literalText) : scanner.run(domainText);
}

/** Steps behind the next `,` or `;`, which is the answer; quoted strings and comments on the way are stepped over. */
function skipToSeparator(scanner: Scanner): string | undefined {
  while (!scanner.done) {
    const character = scanner.text[scanner.at];
    if (character === '"') scanner.quotedString();
    else if (character === '(') scanner.comment();
    else {
      scanner.at++;
      if (character === ',' || character === ';') return character;
    }
  }
  return undefined;
}
