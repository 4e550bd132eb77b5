import { Readable } from 'node:stream';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import type { DKIMResult } from 'mailauth';
import { CLOCK_DRIFT, keyName } from './signature.ts';

/** One message for the verifier: plain data, so that it may travel to a worker. */
export interface VerifyInput {
  /** The fields of an Excerpt. */
  readonly header: Buffer;
  readonly body: Buffer;
  /** d= and s= of each DKIM-Signature in `header`, in order. */
  readonly signatures: readonly { readonly domain: string; readonly selector: string }[];
  /** Key records by name: the verifier asks no DNS. */
  readonly keys: ReadonlyMap<string, string>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What became of one signature; `key` where another key might have helped. */
export type Verification =
  | { readonly valid: true }
  | { readonly valid: false; readonly reason: string; readonly blame: 'key' | 'message' };

/** RFC 8301 3.2. */
const MIN_RSA_BITS = 1024;

const LF = 0x0a;
const CR = 0x0d;

/**
 * Checks body hashes and signatures with mailauth, one answer for each of `signatures`. Needs no IO; the time is that
 * of hashing the body up to MAX_BODY_HASHES times, 8 ms for a MB each. Never rejects on account of the message.
 *
 * mailauth runs in its lenient mode, since the strict one forbids `_` in names: what that mode would check is checked
 * before (signature.ts, key-record.ts), and whatever it warns of is a failure here.
 */
export async function verifySignatures(input: VerifyInput): Promise<readonly Verification[]> {
  const { header, body, signatures, keys, now } = input;
  const failAll = (reason: string) => signatures.map(() => failed(reason));
  // Each bare line feed is a chunk of its own to mailauth's parser, and a line end to it, as it is to nobody else.
  if (hasBareLineFeed(body)) return failAll('bare line feed in the body');

  const results = await dkimVerify(messageStream(header, body), {
    // Else it would look for Return-Path and read that.
    sender: '<>',
    minBitLength: MIN_RSA_BITS,
    rejectRsaSha1: true,
    // timeProblem has judged x= already, with the drift allowed.
    curTime: new Date(now - CLOCK_DRIFT),
    resolver: async (name: string) => {
      const record = keys.get(name.toLowerCase());
      if (record === undefined) throw Object.assign(new Error('no key'), { code: 'ENOTFOUND' });
      return [[record]];
    },
  }).then(
    (verified) => verified.results,
    (error: unknown) => (error instanceof Error ? error : new Error('unknown')),
  );
  if (results instanceof Error) return failAll(`cannot be verified: ${results.name}`);
  if (results.length !== signatures.length) return failAll('read differently by the verifier');
  return signatures.map((signature, index) => {
    const result = results[index];
    return result === undefined ? failed('not verified') : readResult(signature, result);
  });
}

function failed(reason: string, blame: 'key' | 'message' = 'message'): Verification {
  return { valid: false, reason, blame };
}

function readResult(expected: { domain: string; selector: string }, result: DKIMResult): Verification {
  const { status } = result;
  const read = { domain: String(result.signingDomain), selector: String(result.selector) };
  // Whoever reads other names from the field has fetched another key than the one that was meant.
  if (keyName(read).toLowerCase() !== keyName(expected)) return failed('read differently by the verifier');
  if (status?.result !== 'pass') {
    if (status?.policy?.['dkim-rules'] === 'weak-key')
      return failed(`RSA key under ${MIN_RSA_BITS} bits`, 'key');
    const reason = status?.comment ?? 'does not verify';
    // mailauth compares the body's hash before it looks at the key.
    return failed(reason, reason === 'body hash did not verify' ? 'message' : 'key');
  }
  // RFC 6376 8.2: what follows the length in l= is anybody's. A length beyond the end is forbidden too (3.5).
  if (result.canonBodyLengthLimited && result.canonBodyLengthLimit !== result.canonBodyLengthTotal)
    return failed('l= is not the length of the body');
  // `tag-syntax` is said of `_` in a name; all else that it is said of was refused before.
  const warnings = (status.warnings ?? []).filter((warning) => warning !== 'tag-syntax');
  return warnings.length > 0 ? failed(`verifier warns: ${warnings.join(', ')}`, 'key') : { valid: true };
}

/**
 * The body in one piece: mailauth would cut a buffer into chunks of 64 KB, and go over a line once more from its start
 * with each chunk it spans, which for one line of 30 MB takes half a minute.
 */
function messageStream(header: Buffer, body: Buffer): Readable {
  return Readable.from([header, Buffer.from('\r\n'), body].filter((piece) => piece.length > 0));
}

function hasBareLineFeed(body: Buffer): boolean {
  for (let at = body.indexOf(LF); at >= 0; at = body.indexOf(LF, at + 1))
    if (body[at - 1] !== CR) return true;
  return false;
}
