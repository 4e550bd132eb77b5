import { readArmor } from '../message/armor.ts';
import type { Header } from '../message/header.ts';
import type { Multipart } from '../message/multipart.ts';
import { createPacketWalk } from '../message/openpgp.ts';
import { isType, readMultipart, readPart, shortText } from '../message/part.ts';
import { decodeStrictly } from '../message/transfer-encoding.ts';
import { isBlank } from './blank.ts';

/** `outgoing`: submitted by a user of ours. `incoming`: from outside, where other software writes too. */
export type Direction = 'incoming' | 'outgoing';

/** `why` names the rule that failed, without content. */
export type Encrypted = { readonly encrypted: true } | { readonly encrypted: false; readonly why: string };

/** Bytes of the text before and after the parts in mail from outside: "This is an OpenPGP/MIME encrypted message …". */
export const MAX_TEXT_AROUND_PARTS = 1000;

/** Bytes of the part that says `Version: 1`. */
const MAX_VERSION_PART = 1000;

/**
 * Whether a message is end-to-end encrypted by its form (RFC 3156 4): multipart/encrypted of exactly two parts, the
 * first saying `Version: 1`, the second nothing but the armor of an encrypted OpenPGP message. The rules are
 * filtermail's with their holes closed (relay.md 3): what two readers could see differently is not encrypted.
 * Linear; of a big message nothing is copied unless its second part is in base64 or quoted-printable.
 */
export function isEncrypted(message: Buffer, header: Header, direction: Direction): Encrypted {
  const why = problemOf(message, header, direction);
  return why === undefined ? { encrypted: true } : { encrypted: false, why };
}

function problemOf(message: Buffer, header: Header, direction: Direction): string | undefined {
  const whole = readPart(message, header);
  if ('problem' in whole) return whole.problem;
  if (!isType(whole, 'multipart/encrypted')) return 'not multipart/encrypted';
  const multipart = readMultipart(whole, 2);
  if ('problem' in multipart) return multipart.problem;
  const [control, data] = multipart.parts;
  if (control === undefined || data === undefined) return 'multipart/encrypted with fewer than two parts';
  return (
    problemAround(whole.body, multipart, direction) ??
    problemOfControl(whole.body.subarray(control.start, control.end)) ??
    problemOfData(whole.body.subarray(data.start, data.end), direction)
  );
}

/** Text beside the parts is cleartext. Other mail software puts a notice there, Delta Chat nothing. */
function problemAround(body: Buffer, multipart: Multipart, direction: Direction): string | undefined {
  for (const [where, range] of [
    ['before', multipart.preamble],
    ['after', multipart.epilogue],
  ] as const) {
    const text = body.subarray(range.start, range.end);
    if (direction === 'incoming' && text.length <= MAX_TEXT_AROUND_PARTS) continue;
    if (!isBlank(text)) return `text ${where} the parts`;
  }
  return undefined;
}

function problemOfControl(bytes: Buffer): string | undefined {
  const part = readPart(bytes);
  if ('problem' in part) return `first part: ${part.problem}`;
  if (!isType(part, 'application/pgp-encrypted')) return 'first part is not application/pgp-encrypted';
  if (shortText(part, MAX_VERSION_PART) !== 'Version: 1') return 'first part does not say Version: 1';
  return undefined;
}

function problemOfData(bytes: Buffer, direction: Direction): string | undefined {
  const part = readPart(bytes);
  if ('problem' in part) return `second part: ${part.problem}`;
  if (!isType(part, 'application/octet-stream')) return 'second part is not application/octet-stream';
  const armor = decodeStrictly(part.body, part.encoding);
  if (armor === undefined) return 'second part: broken transfer encoding';
  const packets = createPacketWalk();
  return readArmor(armor, direction === 'incoming', packets.write) ?? packets.finish();
}
