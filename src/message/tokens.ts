/** The words that structured header fields are made of (RFC 5322 3.2): comments, quoted strings, runs of characters. */

const TAB = 0x09;
const SPACE = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const BACKSLASH = 0x5c;

/** Which of the 256 latin1 characters belong to a class. */
export type CharacterClass = Uint8Array;

/** Printable ASCII without space and without those in `except`. */
export function printableExcept(except: string): CharacterClass {
  const members = new Uint8Array(256).fill(1, 0x21, 0x7f);
  for (const character of except) members[character.charCodeAt(0)] = 0;
  return members;
}

/** A place in an unfolded field value (latin1). Every method moves forward only, so reading a value is linear. */
export class Scanner {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get done(): boolean {
    return this.at >= this.text.length;
  }

  /** Steps over `character` if it is next. */
  take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  /** The longest run of characters in `members`, '' where there is none. */
  run(members: CharacterClass): string {
    const start = this.at;
    while (this.at < this.text.length && members[this.text.charCodeAt(this.at)] === 1) this.at++;
    return this.text.slice(start, this.at);
  }

  skipBlank(): void {
    for (;;) {
      if (!isBlank(this.text.charCodeAt(this.at))) return;
      this.at++;
    }
  }

  /** Steps over space and comments (CFWS). False where a comment does not end: all the rest is then stepped over. */
  skipComments(): boolean {
    for (;;) {
      this.skipBlank();
      if (this.text.charCodeAt(this.at) !== OPEN) return true;
      if (this.comment() === undefined) return false;
    }
  }

  /** The comment that begins here, parentheses included; comments nest. Undefined where it does not end. */
  comment(): string | undefined {
    const start = this.at;
    let depth = 0;
    for (; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === BACKSLASH) this.at++;
      else if (code === OPEN) depth++;
      else if (code === CLOSE && --depth === 0) {
        this.at++;
        return this.text.slice(start, this.at);
      }
    }
    this.at = this.text.length;
    return undefined;
  }

  /** What the quoted string that begins here holds, its backslashes resolved. Undefined where it does not end. */
  quotedString(): string | undefined {
    let content = '';
    let from = this.at + 1;
    for (this.at = from; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === QUOTE) {
        content += this.text.slice(from, this.at);
        this.at++;
        return content;
      }
      if (code === BACKSLASH) {
        content += this.text.slice(from, this.at);
        this.at++;
        from = this.at;
      }
    }
    this.at = this.text.length;
    return undefined;
  }
}

/** `text` without space and tab at both ends. Not String.trim, which takes the byte A0 for a space. */
export function trimBlank(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
