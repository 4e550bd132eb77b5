import { fieldsOf } from '../message/header.ts';
import type { Field, Header } from '../message/header.ts';
import type { Signature } from './signature.ts';

const LF = 0x0a;
const CRLF = Buffer.from('\r\n');

/** A signature of a message, with the field it was read from. */
export interface Candidate {
  readonly field: Field;
  readonly signature: Signature;
}

/** What the verifier is shown of a message. */
export interface Excerpt {
  /** Header fields, byte for byte and in their order, each with its CRLF; the empty line is not there. */
  readonly header: Buffer;
  /** The candidates to be checked, in the order of the message. */
  readonly chosen: readonly Candidate[];
  /** All signatures in `header`, in the order of the message: the chosen ones, and those that one of them covers. */
  readonly shown: readonly Candidate[];
  /** Passes over the body that checking takes. */
  readonly bodyHashes: number;
  /** Why the candidates that are not in `chosen` were left out. */
  readonly problems: ReadonlyMap<Candidate, string>;
}

/**
 * Bytes and lines of the fields shown. mailauth goes over a header byte by byte, once more for each signature, and its
 * cost for folds is the square of their number; `To` with 1000 recipients is 1000 lines and 60 KB.
 */
export const MAX_EXCERPT_BYTES = 128 * 1024;
export const MAX_EXCERPT_LINES = 2000;

/** Passes over the body: two canonicalizations, each with and without l=. A second l= can only be a wrong one. */
export const MAX_BODY_HASHES = 4;

/**
 * Cuts from a message what the verifier needs for `candidates`: the signatures themselves and every occurrence of the
 * fields they cover. All else stays out, so that odd or huge fields that nobody signed cost nothing. `readable` are all
 * signatures of the message that could be read: a candidate that covers signatures needs those as well.
 *
 * Candidates are taken from the top while the bounds above allow.
 */
export function cutExcerpt(
  message: Buffer,
  header: Header,
  candidates: readonly Candidate[],
  readable: readonly Candidate[],
): Excerpt {
  const problems = new Map<Candidate, string>();
  const chosen: Candidate[] = [];
  let shown: ReadonlySet<Field> = new Set();
  let hashes: ReadonlySet<string> = new Set();

  for (const candidate of candidates) {
    const companions = candidate.signature.signedNames.includes('dkim-signature') ? readable : [candidate];
    const fields = new Set([...shown, ...fieldsFor(candidate, companions, header)]);
    const bodies = new Set([...hashes, ...companions.map(({ signature }) => bodyOf(signature))]);
    const problem =
      coverageProblem(candidate.signature, companions, header) ??
      (bodies.size > MAX_BODY_HASHES ? 'too many body lengths' : sizeProblem(message, fields));
    if (problem !== undefined) {
      problems.set(candidate, problem);
      continue;
    }
    chosen.push(candidate);
    [shown, hashes] = [fields, bodies];
  }
  return {
    header: Buffer.concat(
      header.fields.filter((field) => shown.has(field)).map((field) => bytesOf(message, field)),
    ),
    chosen,
    shown: readable.filter(({ field }) => shown.has(field)),
    bodyHashes: hashes.size,
    problems,
  };
}

function fieldsFor(candidate: Candidate, companions: readonly Candidate[], header: Header): readonly Field[] {
  const names = new Set(candidate.signature.signedNames);
  return [
    ...companions.map(({ field }) => field),
    ...header.fields.filter(({ key }) => key !== 'dkim-signature' && names.has(key)),
  ];
}

function coverageProblem(
  { signedNames }: Signature,
  companions: readonly Candidate[],
  header: Header,
): string | undefined {
  // Upstream's rule (relay.md 4): a second From that is not covered could be the one that a client shows.
  if (signedNames.filter((name) => name === 'from').length < fieldsOf(header, 'from').length)
    return 'not every From is signed';
  // mailauth would take ARC fields for a chain and evaluate it. No signer covers them: each hop adds some.
  if (signedNames.some((name) => name.startsWith('arc-'))) return 'signs ARC fields';
  if (signedNames.includes('dkim-signature') && companions.length < fieldsOf(header, 'dkim-signature').length)
    return 'signs signatures that cannot be read';
  return undefined;
}

function sizeProblem(message: Buffer, fields: ReadonlySet<Field>): string | undefined {
  let bytes = 0;
  let lines = 0;
  for (const { start, end } of fields) {
    bytes += end - start;
    if (bytes > MAX_EXCERPT_BYTES) return 'signs too much header';
    for (let at = start; at < end; at++) if (message[at] === LF) lines++;
    if (lines > MAX_EXCERPT_LINES) return 'signs too many header lines';
  }
  return undefined;
}

/** What makes one pass over the body differ from another. */
function bodyOf({ bodyCanonicalization, bodyLength }: Signature): string {
  return `${bodyCanonicalization} ${bodyLength ?? ''}`;
}

function bytesOf(message: Buffer, { start, end }: Field): Buffer {
  const bytes = message.subarray(start, end);
  // The last field of a message without body may have lost its line end.
  return bytes.at(-1) === LF ? bytes : Buffer.concat([bytes, CRLF]);
}
