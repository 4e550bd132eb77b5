import { createHash, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { relaxedField } from './relaxed.ts';
import type { SignedFields } from './signed-fields.ts';

export interface SignatureParts {
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256';
  readonly domain: string;
  readonly selector: string;
  /** bh=, of the body in relaxed form. */
  readonly bodyHash: string;
  readonly fields: SignedFields;
  readonly privateKey: KeyObject;
}

const signInBackground = promisify(sign);

/** RFC 5322 2.1.1: characters of a line, its CRLF not counted. */
const LINE = 78;
/** A tab is one character; readers show it as up to eight. */
const TAB_WIDTH = 8;

/**
 * One DKIM-Signature field (RFC 6376 3.5), folded, with its CRLF; the RSA work is done off the main loop. No l=, for
 * what follows the signed length is anybody's (8.2). No x=, for mail may wait days in a queue, ours or another's. No t=:
 * a clock that is ahead must not make relays refuse our mail (upstream: five minutes).
 */
export async function signatureField(parts: SignatureParts): Promise<string> {
  const { algorithm, domain, selector, bodyHash, fields, privateKey } = parts;
  const unsigned = [
    ` v=1; a=${algorithm}; c=relaxed/relaxed;`,
    // A name may be longer than a line (RFC 6376 3.5: no folding within d=, s=).
    `d=${domain};`,
    `s=${selector};`,
    `bh=${bodyHash};`,
    foldNames(`h=${fields.names.join(':')};`),
    'b=',
  ].join('\r\n\t');
  // RFC 6376 3.7: the field itself comes last, with b= empty and without its CRLF.
  const own = relaxedField('dkim-signature', unsigned.replaceAll('\r\n', '').trim()).slice(0, -2);
  const signed = Buffer.from(fields.text + own, 'latin1');
  const signature =
    algorithm === 'rsa-sha256'
      ? await signInBackground('sha256', signed, privateKey)
      : // RFC 8463 3: Ed25519 signs the hash; microseconds.
        sign(null, createHash('sha256').update(signed).digest(), privateKey);
  return `DKIM-Signature:${unsigned}${foldText(signature.toString('base64'))}\r\n`;
}

/** White space may stand on either side of the colons in h=. */
function foldNames(list: string): string {
  const lines = [''];
  for (const name of list.split(/(?<=:)/)) {
    const last = lines.length - 1;
    const line = `${lines[last] ?? ''}${name}`;
    if (line.length > LINE - TAB_WIDTH && lines[last] !== '') lines.push(name);
    else lines[last] = line;
  }
  return lines.join('\r\n\t');
}

/** White space may stand anywhere in b=. */
function foldText(base64: string): string {
  // Room for the `b=` before the first line.
  const width = LINE - TAB_WIDTH - 2;
  return (base64.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).join('\r\n\t');
}
