import { isIPv4, isIPv6 } from 'node:net';
import { fieldsOf } from './header.ts';
import type { Header } from './header.ts';
import { printableExcept, Scanner } from './tokens.ts';

/** One address. Written as `${local}@${domain}` it is the address again. */
export interface Mailbox {
  /** In quotes only where it would be no address without them: `"a"@b` and `a@b` come out the same. */
  readonly local: string;
  /** Lower case; an address literal keeps its brackets: `[192.0.2.1]`, `[ipv6:2001:db8::1]`. */
  readonly domain: string;
  /** The network address of an address literal, IPv6 in its shortest form. */
  readonly literal?: string;
}

/** The author of a message: all of it in lower case. */
export interface Author extends Mailbox {
  readonly address: string;
}

/** Octets (RFC 5321 4.5.3.1.1 and 4.5.3.1.2). */
export const MAX_LOCAL_PART = 64;
export const MAX_DOMAIN = 255;

// RFC 5322 3.2.3.
const atomText = printableExcept('()<>[]:;@\\,."');
const dotAtomText = printableExcept('()<>[]:;@\\,"');
// Words of a display name: dots (RFC 5322 4.1 wants them read) and bytes above ASCII are common there and harmless.
const phraseText = new Uint8Array(dotAtomText).fill(1, 0x80);
const notCloseBracket = printableExcept(']');
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Reads an envelope address, a `Mailbox` of RFC 5321 4.1.2, without angle brackets: local part as a dot-string or
 * quoted string, domain or address literal. The domain is lower-cased, the local part (tag and all) is kept.
 * Undefined where `path` is anything else; ASCII only. `_` is allowed in names: relays without DNS start with it.
 */
export function parseMailbox(path: string): Mailbox | undefined {
  if (path.length > MAX_LOCAL_PART * 2 + MAX_DOMAIN + 3) return undefined;
  const scanner = new Scanner(path);
  const mailbox = readMailbox(scanner);
  return typeof mailbox !== 'string' && scanner.done ? mailbox : undefined;
}

/** The local part without `+tag`: `user+tag@` is `user@` (relay.md 4, recipient_delimiter). A leading + is no tag. */
export function withoutTag(local: string): string {
  const plus = local.startsWith('"') ? -1 : local.indexOf('+');
  return plus > 0 ? local.slice(0, plus) : local;
}

/**
 * The one address of the one From field, or the problem in plain words. Whatever two readers could take for different
 * addresses is a problem, not a guess: several fields or addresses, groups, routes, space or comments within the
 * address, an address within a comment, encoded words in the local part, anything but ASCII in the address.
 */
export function addressOfFrom(header: Header): Author | { readonly problem: string } {
  const [field, ...more] = fieldsOf(header, 'from');
  if (field === undefined) return { problem: 'there is no From field' };
  if (more.length > 0) return { problem: 'there is more than one From field' };
  const mailbox = readAuthor(field.value);
  if (typeof mailbox === 'string') return { problem: mailbox };
  const local = mailbox.local.toLowerCase();
  return { ...mailbox, local, address: `${local}@${mailbox.domain}` };
}

/** RFC 5322 3.4, `mailbox` alone and without the obsolete forms. A string is the problem. */
function readAuthor(value: string): Mailbox | string {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return 'control character';
  }
  const scanner = new Scanner(value);
  const start = skipHarmlessComments(scanner);
  if (start !== undefined) return start;
  if (scanner.done) return 'there is no address';
  const bare = isBareAddress(scanner);
  if (!bare) {
    const phrase = skipDisplayName(scanner);
    if (phrase !== undefined) return phrase;
  }
  const mailbox = readMailbox(scanner);
  if (typeof mailbox === 'string') return mailbox;
  if (/=\?/.test(mailbox.local)) return 'encoded word in the address';
  if (!bare && !scanner.take('>')) return 'text that does not belong in the angle brackets';
  const end = skipHarmlessComments(scanner);
  if (end !== undefined) return end;
  if (scanner.done) return mailbox;
  return scanner.take(',') || scanner.take('<') ? 'more than one address' : 'text behind the address';
}

/** Whether a local part and its @ stand here (nothing is stepped over). */
function isBareAddress(scanner: Scanner): boolean {
  const start = scanner.at;
  if (scanner.text[start] === '"') scanner.quotedString();
  else scanner.run(dotAtomText);
  const bare = scanner.text[scanner.at] === '@';
  scanner.at = start;
  return bare;
}

/** Steps over the words before `<`, and over it. */
function skipDisplayName(scanner: Scanner): string | undefined {
  while (!scanner.take('<')) {
    if (scanner.done) return 'there is no address';
    if (scanner.text[scanner.at] === '"') {
      if (scanner.quotedString() === undefined) return 'quoted string that does not end';
    } else if (scanner.run(phraseText) === '') {
      return unexpectedInName(scanner.text[scanner.at]);
    }
    const problem = skipHarmlessComments(scanner);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function unexpectedInName(character: string | undefined): string {
  switch (character) {
    case ':':
      return 'group in place of an address';
    case ',':
      return 'more than one address, or a comma outside quotes';
    case '@':
      return 'space, or a second address, before the @';
    default:
      return 'character that needs quotes';
  }
}

/** Some readers look for an address in comments too, so none may stand there. */
function skipHarmlessComments(scanner: Scanner): string | undefined {
  for (;;) {
    scanner.skipBlank();
    if (scanner.text[scanner.at] !== '(') return undefined;
    const comment = scanner.comment();
    if (comment === undefined) return 'comment that does not end';
    if (/[<>@]/.test(comment)) return 'address in a comment';
  }
}

/** Reads local part, @ and domain with nothing in between. A string is the problem. */
function readMailbox(scanner: Scanner): Mailbox | string {
  if (scanner.text[scanner.at] === '@') return 'route in place of an address';
  const local = readLocalPart(scanner);
  if (local === undefined) return 'local part that cannot be read';
  if (local.length > MAX_LOCAL_PART) return 'local part too long';
  if (!scanner.take('@')) return 'address without an @';
  return scanner.take('[') ? readLiteral(scanner, local) : readDomain(scanner, local);
}

function readLocalPart(scanner: Scanner): string | undefined {
  if (scanner.text[scanner.at] !== '"') {
    const dotAtom = scanner.run(dotAtomText);
    return isDotAtom(dotAtom) ? dotAtom : undefined;
  }
  const content = scanner.quotedString();
  // RFC 5321 4.1.2, qtextSMTP: printable ASCII and space; an empty string is nobody.
  if (content === undefined || !/^[\x20-\x7e]+$/.test(content)) return undefined;
  // RFC 5321 4.1.2: quotes that are not needed make no other address.
  return isDotAtom(content) ? content : `"${content.replace(/["\\]/g, '\\$&')}"`;
}

function isDotAtom(text: string): boolean {
  return text.split('.').every((atom) => {
    for (let at = 0; at < atom.length; at++) if (atomText[atom.charCodeAt(at)] !== 1) return false;
    return atom !== '';
  });
}

function readDomain(scanner: Scanner, local: string): Mailbox | string {
  const domain = scanner.run(dotAtomText).toLowerCase();
  if (domain.length > MAX_DOMAIN) return 'domain too long';
  const labels = domain.split('.');
  if (!labels.every((text) => label.test(text))) return 'domain that cannot be read';
  // RFC 3696 2: no top-level domain is all digits. It is a network address that lacks its brackets.
  if (/^\d+$/.test(labels.at(-1) ?? '')) return 'network address without brackets';
  return { local, domain };
}

/** RFC 5321 4.1.3. */
function readLiteral(scanner: Scanner, local: string): Mailbox | string {
  const text = scanner.run(notCloseBracket).toLowerCase();
  if (!scanner.take(']')) return 'address literal that cannot be read';
  if (isIPv4(text)) return { local, domain: `[${text}]`, literal: text };
  const address = text.startsWith('ipv6:') ? text.slice('ipv6:'.length) : '';
  // A zone (`fe80::1%eth0`) means something on one machine only.
  if (!isIPv6(address) || address.includes('%')) return 'address literal that cannot be read';
  const literal = new URL(`http://[${address}]`).hostname.slice(1, -1);
  return { local, domain: `[ipv6:${literal}]`, literal };
}
