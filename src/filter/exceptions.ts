import { addressOfFrom } from '../message/address.ts';
import { parseContentType } from '../message/content-type.ts';
import { fieldsOf } from '../message/header.ts';
import type { Header } from '../message/header.ts';
import { isType, readMultipart, readPart, shortText } from '../message/part.ts';
import { isBlank } from './blank.ts';

/** Bytes of the text of a secure-join request; it has 23. */
const MAX_REQUEST_TEXT = 1000;

/**
 * The first mail of a secure join by an old client or old QR code, the one cleartext message a chat needs (relay.md 3,
 * "Secure-join exception"): header `Secure-Join` vc-request or vg-request, and as its body a multipart with one
 * text/plain part that says so too, and nothing else. Header and body need not name the same of the two.
 */
export function isSecureJoinRequest(message: Buffer, header: Header): boolean {
  const request = soleValue(header, 'secure-join');
  if (request !== 'vc-request' && request !== 'vg-request') return false;
  const whole = readPart(message, header);
  if ('problem' in whole || whole.contentType.type !== 'multipart') return false;
  const multipart = readMultipart(whole, 1);
  if ('problem' in multipart) return false;
  const { preamble, epilogue, parts } = multipart;
  const [range] = parts;
  // Upstream does not look beside the part; text there would be cleartext.
  for (const around of [preamble, epilogue]) {
    if (!isBlank(whole.body.subarray(around.start, around.end))) return false;
  }
  if (range === undefined) return false;
  const part = readPart(whole.body.subarray(range.start, range.end));
  if ('problem' in part || !isType(part, 'text/plain')) return false;
  const text = shortText(part, MAX_REQUEST_TEXT)?.toLowerCase();
  return text === 'secure-join: vc-request' || text === 'secure-join: vg-request';
}

/**
 * A cleartext bounce, let in from outside only (relay.md 3 "Incoming" 4): `Auto-Submitted` says something, the one
 * author is mailer-daemon at any domain, the type is multipart/report. Its DKIM signature is still demanded.
 */
export function isBounce(header: Header): boolean {
  const author = addressOfFrom(header);
  return (
    fieldsOf(header, 'auto-submitted').some((field) => field.value !== '') &&
    'local' in author &&
    author.local === 'mailer-daemon' &&
    hasType(header, 'multipart/report')
  );
}

/**
 * An Autocrypt Setup Message, which clients before 2.46 send to themselves (relay.md 3 "Outgoing" 6). `sender` and
 * `recipients` are of the envelope; that From equals the sender is checked before (`checkSender`).
 */
export function isSetupMessage(header: Header, sender: string, recipients: readonly string[]): boolean {
  return (
    recipients.length === 1 &&
    recipients[0]?.toLowerCase() === sender.toLowerCase() &&
    soleValue(header, 'subject') === 'Autocrypt Setup Message' &&
    hasType(header, 'multipart/mixed')
  );
}

function soleValue(header: Header, key: string): string | undefined {
  const fields = fieldsOf(header, key);
  return fields.length === 1 ? fields[0]?.value : undefined;
}

function hasType(header: Header, type: string): boolean {
  const value = soleValue(header, 'content-type');
  const parsed = value === undefined ? undefined : parseContentType(value);
  return parsed !== undefined && parsed.problem === undefined && `${parsed.type}/${parsed.subtype}` === type;
}
