/**
 * A bounce: the delivery status notification of RFC 3464 for recipients that a message did not reach. Plain bytes in,
 * bytes out.
 */
import { fieldsOf, parseHeader } from './header.ts';

/** What a bounce tells about. */
export interface Undelivered {
  /** Who gets the bounce: MAIL FROM of the message, never the null sender. */
  readonly sender: string;
  /** The header block of the message; nothing behind it is read. */
  readonly header: Buffer;
  /** When the message was accepted. */
  readonly acceptedAt: number;
  /** Those that failed together, at least one. */
  readonly recipients: readonly FailedRecipient[];
}

export interface FailedRecipient {
  readonly address: string;
  /** RFC 3463. */
  readonly status: string;
  /** What went wrong, in plain words. */
  readonly text: string;
  /** The host that refused it, where one did. */
  readonly host?: string | undefined;
  /** What that host said. */
  readonly reply?: string | undefined;
}

export interface DsnParts {
  /** What stands behind the @ of our addresses. */
  readonly domain: string;
  readonly now: number;
  /** Nobody else's: it names the message and parts its parts. Letters and digits. */
  readonly id: string;
}

/** RFC 5322 2.1.1: what a line should have at most; RFC 3464 2.1.1 lets fields be folded. */
const LINE = 76;
/** Of one word that stands in a line: the same section lets no line be longer than 998. */
const MAX_WORD = 900;
/** Fields of the message that come back with a bounce, at most so long: what says which message it was. */
const RETURNED_FIELDS = ['date', 'from', 'subject', 'message-id'];
const MAX_RETURNED_FIELD = 2000;
/** RFC 5322 3.6.4: it goes into References and In-Reply-To. */
const MESSAGE_ID = /^<[\x21-\x3b\x3d\x3f-\x7e]{1,500}>$/;

/**
 * Builds the bounce, 7 bit throughout. Delta Chat finds the message by the Message-ID of the third part, takes the first
 * for the reason that it shows, and asks for `Action: failed` and for mailer-daemon as the author (client.md 3.2).
 * Other relays let it in for From, Auto-Submitted and its type (relay.md 3, "Incoming" 4).
 */
export function buildDsn({ sender, header, acceptedAt, recipients }: Undelivered, parts: DsnParts): Buffer {
  const { domain, now, id } = parts;
  const boundary = `=_${id}`;
  const original = parseHeader(header);
  const messageId = fieldsOf(original, 'message-id').map(({ value }) => value)[0];
  const thread = messageId !== undefined && MESSAGE_ID.test(messageId) ? messageId : undefined;
  const lines = [
    `From: "Mail Delivery" <mailer-daemon@${domain}>`,
    `To: <${sender}>`,
    'Subject: Message not delivered',
    `Date: ${dateTime(now)}`,
    `Message-ID: <${id}@${domain}>`,
    ...(thread === undefined ? [] : [`In-Reply-To: ${thread}`, `References: ${thread}`]),
    // RFC 3834 5 and RFC 3464 2: no machine is to answer.
    'Auto-Submitted: auto-replied',
    // Delta Chat says who was not reached where this names exactly one.
    ...foldList('X-Failed-Recipients', recipients),
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    `\tboundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    ...explanation(recipients, domain),
    '',
    `--${boundary}`,
    'Content-Type: message/delivery-status',
    '',
    `Reporting-MTA: dns; ${domain}`,
    `Arrival-Date: ${dateTime(acceptedAt)}`,
    ...recipients.flatMap((recipient) => ['', ...statusOf(recipient, now)]),
    '',
    `--${boundary}`,
    'Content-Type: text/rfc822-headers',
    '',
    ...original.fields
      .filter(({ key, start, end }) => RETURNED_FIELDS.includes(key) && end - start <= MAX_RETURNED_FIELD)
      .flatMap(({ name, value }) => fold(`${name}: ${printable(value)}`)),
    '',
    `--${boundary}--`,
    '',
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

/** For a person, in the order of the recipients. */
function explanation(recipients: readonly FailedRecipient[], domain: string): string[] {
  return [
    ...fold(
      `Your message could not be delivered to ${recipients.length === 1 ? 'this address' : 'these addresses'}:`,
      '',
    ),
    ...recipients.flatMap(({ address, text, host, reply }) => [
      '',
      `<${printable(address)}>`,
      ...fold(`  ${printable(text)}`, '  '),
      ...(reply === undefined
        ? []
        : fold(`  ${printable(host ?? 'The other side')} said: ${printable(reply)}`, '  ')),
    ]),
    '',
    ...fold(`It will not be tried again. This is the mail relay ${domain}.`, ''),
  ];
}

/** RFC 3464 2.3. */
function statusOf({ address, status, text, host, reply }: FailedRecipient, now: number): string[] {
  return [
    `Final-Recipient: rfc822; ${printable(address)}`,
    'Action: failed',
    `Status: ${printable(status)}`,
    ...(host === undefined ? [] : [`Remote-MTA: dns; ${printable(host)}`]),
    // RFC 3464 2.3.6: of type smtp where it is a reply; ours otherwise.
    ...fold(
      reply === undefined
        ? `Diagnostic-Code: x-teal; ${printable(text)}`
        : `Diagnostic-Code: smtp; ${printable(reply)}`,
    ),
    `Last-Attempt-Date: ${dateTime(now)}`,
  ];
}

function foldList(name: string, recipients: readonly FailedRecipient[]): string[] {
  return fold(`${name}: ${recipients.map(({ address }) => printable(address)).join(', ')}`);
}

/** Breaks a line at blanks; the lines behind the first begin with `indent`. */
function fold(line: string, indent = ' '): string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(/(?<=\S) +/).flatMap(cut)) {
    if (current !== '' && current.length + 1 + word.length > LINE) {
      lines.push(current);
      current = indent + word;
    } else {
      current = current === '' ? word : `${current} ${word}`;
    }
  }
  return [...lines, current];
}

function cut(word: string): string[] {
  return word.length <= MAX_WORD ? [word] : (word.match(new RegExp(`.{1,${MAX_WORD}}`, 'g')) ?? []);
}

/** What others said goes into our lines: no line end, nothing but ASCII. */
function printable(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(/[^\x20-\x7e]/g, '?');
}

/** RFC 5322 3.3, in UTC. */
function dateTime(time: number): string {
  return new Date(time).toUTCString().replace('GMT', '+0000');
}
