import { decodeUtf7 } from './modified-utf7.ts';
import { parseSequenceSet } from './sequence-set.ts';
import type { SequenceSet } from './sequence-set.ts';

/** What is wrong with a command; `message` is the text of the BAD. The only error that parsing throws or expects. */
export class Problem extends Error {
  override name = 'Problem';
}

/** Octets of a mailbox name on the wire: more than any name a store takes, few enough to decode at leisure. */
const MAX_MAILBOX = 1000;
/** Elements of a bracketed list, where the command has no bound of its own: a line of 64 KB could hold 30 000. */
const MAX_LIST = 1000;
/** RFC 9051 `number64` goes to 2^63; what is above is as good as the highest that a double holds exactly. */
const MAX_NUMBER = Number.MAX_SAFE_INTEGER;

// RFC 9051 section 9, for use at one place of the line: ATOM-CHAR, ASTRING-CHAR, list-char, tag.
const ATOM = /[^\x00-\x20(){%*"\\\]\x7f-\xff]+/y;
const ASTRING = /[^\x00-\x20(){%*"\\\x7f-\xff]+/y;
const LIST_MAILBOX = /[^\x00-\x20(){"\\\x7f-\xff]+/y;
const TAG = /[^\x00-\x20(){%*"\\+\x7f-\xff]+/y;
// quoted = DQUOTE *QUOTED-CHAR DQUOTE; 8-bit octets are let in, the value's own rules judge them.
const QUOTED = /"([^"\\\x00\r\n]*(?:\\["\\][^"\\\x00\r\n]*)*)"/y;
const NUMBER = /[0-9]{1,19}(?![0-9])/y;
const SET = /[0-9*:,]+/y;

/**
 * Reads through one command as the splitter gives it. Every method takes what it names or throws a `Problem`. Blanks
 * are taken liberally: where one is due several will do, and inside brackets they may stand at either end.
 */
export class Reader {
  readonly #pieces: readonly Buffer[];
  /** The piece of line text in progress (its index is even) and the place in it. */
  #piece = 0;
  #text: string;
  #at = 0;

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces;
    this.#text = textOf(pieces[0]);
  }

  // ---- looking -----------------------------------------------------------------------------------------------------

  /** The next character of the line; '' before a literal and at the end. */
  peek(): string {
    return this.#text.charAt(this.#at);
  }

  /** The next character of the line that is no blank; '' before a literal and at the end. */
  peekPastSpaces(): string {
    let at = this.#at;
    while (this.#text[at] === ' ') at += 1;
    return this.#text.charAt(at);
  }

  atLiteral(): boolean {
    return this.#at === this.#text.length && this.#piece + 1 < this.#pieces.length;
  }

  /** Whether nothing is left but blanks. Takes the blanks. */
  atEnd(): boolean {
    this.skipSpaces();
    return this.#at === this.#text.length && !this.atLiteral();
  }

  // ---- taking ------------------------------------------------------------------------------------------------------

  skipSpaces(): void {
    while (this.#text[this.#at] === ' ') this.#at += 1;
  }

  space(): void {
    if (this.peek() !== ' ') throw new Problem(this.atEnd() ? 'Missing argument' : 'Expected a space');
    this.skipSpaces();
    if (this.#at === this.#text.length && !this.atLiteral()) throw new Problem('Missing argument');
  }

  end(): void {
    if (!this.atEnd()) throw new Problem('Unexpected text after the command');
  }

  /** Takes `character` if it is next. */
  taken(character: string): boolean {
    if (this.peek() !== character) return false;
    this.#at += 1;
    return true;
  }

  expect(character: string): void {
    if (!this.taken(character)) throw new Problem(`Expected ${character}`);
  }

  /** What the sticky `pattern` matches here, or undefined. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match) return undefined;
    this.#at += match[0].length;
    return match;
  }

  /** The next atom in capitals, not taken; '' where there is none. */
  peekWord(): string {
    ATOM.lastIndex = this.#at;
    return ATOM.exec(this.#text)?.[0].toUpperCase() ?? '';
  }

  /** The word, whatever its case, if it is the whole next atom. */
  takenWord(word: string): boolean {
    if (this.peekWord() !== word) return false;
    this.#at += word.length;
    return true;
  }

  tag(): string | undefined {
    return this.match(TAG)?.[0];
  }

  atom(what: string): string {
    const match = this.match(ATOM);
    if (!match) throw new Problem(`Expected ${what}`);
    return match[0];
  }

  /** An atom in capitals. */
  word(what: string): string {
    return this.atom(what).toUpperCase();
  }

  number(what: string): number {
    const match = this.match(NUMBER);
    if (!match) throw new Problem(`Expected ${what}`);
    return Math.min(Number(match[0]), MAX_NUMBER);
  }

  sequenceSet(): SequenceSet {
    const set = parseSequenceSet(this.match(SET)?.[0] ?? '');
    if (!set) throw new Problem('Invalid sequence set');
    return set;
  }

  // ---- strings -----------------------------------------------------------------------------------------------------

  quoted(what: string): Buffer {
    const match = this.match(QUOTED);
    if (!match) throw new Problem(`Expected ${what}`);
    return Buffer.from((match[1] ?? '').replace(/\\(["\\])/g, '$1'), 'latin1');
  }

  /** A literal's bytes. RFC 9051 `literal = … *CHAR8`: no NUL; one that got into a mailbox would brick it for clients. */
  literal(what: string): Buffer {
    if (!this.atLiteral()) throw new Problem(`Expected ${what}`);
    const bytes = this.#pieces[this.#piece + 1] ?? Buffer.alloc(0);
    if (bytes.includes(0)) throw new Problem('A literal must not hold NUL');
    this.#piece += 2;
    this.#text = textOf(this.#pieces[this.#piece]);
    this.#at = 0;
    return bytes;
  }

  /** RFC 9051 `string`. */
  string(what: string): Buffer {
    return this.atLiteral() ? this.literal(what) : this.quoted(what);
  }

  /** RFC 9051 `astring`. An unquoted NIL is the word itself here. */
  astring(what: string): Buffer {
    const match = this.match(ASTRING);
    return match ? Buffer.from(match[0], 'latin1') : this.string(what);
  }

  /** RFC 9051 `nstring`: undefined is NIL. */
  nstring(what: string): Buffer | undefined {
    return this.takenWord('NIL') ? undefined : this.string(what);
  }

  /** An astring as UTF-8. */
  text(what: string): string {
    return utf8(this.astring(what));
  }

  /** RFC 9051 `mailbox`. */
  mailbox(): string {
    return mailboxName(this.astring('a mailbox name'));
  }

  /** RFC 9051 `list-mailbox`: wildcards may stand unquoted. */
  mailboxPattern(): string {
    const match = this.match(LIST_MAILBOX);
    return mailboxName(match ? Buffer.from(match[0], 'latin1') : this.string('a mailbox pattern'));
  }

  // ---- lists -------------------------------------------------------------------------------------------------------

  /** `(` elements `)`, `element` called for each; bounded. */
  list<T>(element: () => T, most = MAX_LIST): T[] {
    this.expect('(');
    this.skipSpaces();
    const elements: T[] = [];
    while (!this.taken(')')) {
      if (elements.length === most) throw new Problem('Too many elements in a list');
      elements.push(element());
      if (this.peek() !== ')') this.space();
    }
    return elements;
  }

  /** As `list`, but at least one element. */
  filledList<T>(element: () => T, most = MAX_LIST): T[] {
    const elements = this.list(element, most);
    if (elements.length === 0) throw new Problem('A list must not be empty');
    return elements;
  }
}

function textOf(piece: Buffer | undefined): string {
  return piece?.toString('latin1') ?? '';
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Strict: replacement characters would make two passwords or names one. */
export function utf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Problem('A string is not UTF-8');
  }
}

/** Decodes a mailbox name; RFC 9051 5.1 names in plain UTF-8 are taken too. */
function mailboxName(bytes: Buffer): string {
  if (bytes.length > MAX_MAILBOX) throw new Problem('Mailbox name too long');
  const text = utf8(bytes);
  if (/^inbox$/i.test(text)) return 'INBOX';
  if (/[\x00-\x1f\x7f-\x9f]/.test(text)) throw new Problem('Invalid mailbox name');
  const name = /^[\x00-\x7f]*$/.test(text) ? decodeUtf7(text) : text;
  if (name === undefined) throw new Problem('Mailbox name is not valid modified UTF-7');
  return name;
}
