import type { Clock } from '../clock.ts';
import type { Resolver } from '../dns/resolver.ts';
import { addressOfFrom } from '../message/address.ts';
import { fieldsOf, parseHeader } from '../message/header.ts';
import type { Header } from '../message/header.ts';
import { cutExcerpt } from './excerpt.ts';
import type { Candidate, Excerpt } from './excerpt.ts';
import { MAX_SIGNATURES } from './facts.ts';
import type { DkimFacts, SignatureFact } from './facts.ts';
import { createKeyFinder } from './key-finder.ts';
import type { KeyAnswer } from './key-finder.ts';
import { keyProblem } from './key-record.ts';
import { keyName, readSignature, timeProblem } from './signature.ts';
import type { BrokenSignature, Signature } from './signature.ts';
import { verifySignatures } from './verify-signatures.ts';
import type { Verification, VerifyInput } from './verify-signatures.ts';

/** The tasks that `pool` runs for this folder, for the module of its workers. */
export const verifyTasks = { verifySignatures };

/** Finds out what a message's signatures are worth. Rejects with TaskError alone, where a worker was needed. */
export type DkimCheck = (message: Buffer) => Promise<DkimFacts>;

export interface DkimCheckParts {
  readonly resolver: Resolver;
  /** Its module must serve `verifyTasks`. */
  readonly pool: { run(task: 'verifySignatures', input: VerifyInput): Promise<readonly Verification[]> };
  readonly clock: Clock;
}

/**
 * Bytes to be gone over on the main thread at most, body and header counted once for each pass. Ordinary bytes take
 * 8 ms a MB, lines of a few bytes twenty times that.
 */
export const INLINE_BYTES = 32 * 1024;

type Status = Pick<SignatureFact, 'status' | 'reason'>;
type Statuses = ReadonlyMap<Candidate, Status>;
type KeyAnswers = ReadonlyMap<string, KeyAnswer>;

/**
 * Looks at the first MAX_SIGNATURES signatures. Only those of the From address's own domain can count, so only for them
 * is DNS asked, and only for `_domainkey` names. No part of a message can make it throw, ask more, or run on.
 */
export function createDkimCheck({ resolver, pool, clock }: DkimCheckParts): DkimCheck {
  const finder = createKeyFinder({ resolver, clock });

  return async (message) => {
    const now = clock.now();
    const header = parseHeader(message);
    const fields = fieldsOf(header, 'dkim-signature');
    const author = addressOfFrom(header);
    const fromDomain = 'problem' in author ? undefined : author.domain;

    const read = fields.slice(0, MAX_SIGNATURES).map((field) => {
      const signature = readSignature(field.value);
      return { field, signature, early: earlyStatus(signature, header, fromDomain, now) };
    });
    const isReadable = (one: { signature: Signature | BrokenSignature }) => !('problem' in one.signature);
    const readable = read.filter((one): one is (typeof read)[number] & Candidate => isReadable(one));
    const candidates = readable.filter(({ early }) => early === undefined);
    const excerpt = cutExcerpt(message, header, candidates, readable);
    const checked = await check(excerpt, message.subarray(header.size), now);

    const signatures = read.map((one): SignatureFact => {
      const { domain = '', selector = '' } = one.signature;
      const candidate = candidates.find(({ field }) => field === one.field);
      const status = one.early ?? (candidate && checked.get(candidate)) ?? invalid('not verified');
      return { domain, selector, ...status };
    });
    return { signatures, count: fields.length, ...(fromDomain === undefined ? {} : { fromDomain }) };
  };

  /** Checks the chosen signatures; once more with fresh keys where none is valid and a kept key did not fit. */
  async function check(excerpt: Excerpt, body: Buffer, now: number): Promise<Statuses> {
    const answers = await findKeys(excerpt.chosen);
    const { statuses, unfit } = await checkWith(answers, excerpt, body, now);
    const old = unfit.filter(({ signature }) => kept(answers.get(keyName(signature))) !== undefined);
    if (old.length === 0 || [...statuses.values()].some(({ status }) => status === 'valid')) return statuses;

    for (const { signature } of old) finder.forget(keyName(signature));
    const fresh = await findKeys(old);
    const changed = [...fresh].some(([name, answer]) => textOf(answer) !== kept(answers.get(name)));
    if (!changed) return statuses;
    return (await checkWith(new Map([...answers, ...fresh]), excerpt, body, now)).statuses;
  }

  /** Asks for all keys at once: the wait is that for the slowest. */
  async function findKeys(candidates: readonly Candidate[]): Promise<KeyAnswers> {
    const names = [...new Set(candidates.map(({ signature }) => keyName(signature)))];
    return new Map(await Promise.all(names.map(async (name) => [name, await finder.find(name)] as const)));
  }

  /** One round with the keys at hand. `unfit` are those that failed where another key might have helped. */
  async function checkWith(answers: KeyAnswers, excerpt: Excerpt, body: Buffer, now: number) {
    const statuses = new Map<Candidate, Status>(
      [...excerpt.problems].map(([one, problem]) => [one, invalid(problem)]),
    );
    const unfit: Candidate[] = [];
    const ready = new Map<Candidate, string>();
    for (const candidate of excerpt.chosen) {
      const answer = answers.get(keyName(candidate.signature));
      const problem = answer?.kind === 'key' ? keyProblem(answer.key, candidate.signature) : undefined;
      if (answer?.kind === 'key' && problem === undefined) {
        ready.set(candidate, answer.key.text);
        continue;
      }
      if (problem !== undefined) unfit.push(candidate);
      statuses.set(candidate, problem === undefined ? withoutKey(answer) : invalid(problem));
    }
    if (ready.size === 0) return { statuses, unfit };

    const results = await verify(
      {
        header: excerpt.header,
        body,
        signatures: excerpt.shown.map(({ signature: { domain, selector } }) => ({ domain, selector })),
        keys: new Map([...ready].map(([{ signature }, text]) => [keyName(signature), text])),
        now,
      },
      excerpt.bodyHashes,
    );
    for (const [index, candidate] of excerpt.shown.entries()) {
      const result = results[index];
      if (result === undefined || !ready.has(candidate)) continue;
      statuses.set(candidate, result.valid ? { status: 'valid', reason: 'valid' } : invalid(result.reason));
      if (!result.valid && result.blame === 'key') unfit.push(candidate);
    }
    return { statuses, unfit };
  }

  function verify(input: VerifyInput, bodyHashes: number): Promise<readonly Verification[]> {
    const passes = input.signatures.length + 1;
    const work = input.header.length * passes + input.body.length * bodyHashes;
    return work > INLINE_BYTES ? pool.run('verifySignatures', input) : verifySignatures(input);
  }
}

/** What can be said of a signature without key and message, undefined where it must be checked. */
function earlyStatus(
  signature: Signature | BrokenSignature,
  header: Header,
  fromDomain: string | undefined,
  now: number,
): Status | undefined {
  if (header.malformed !== undefined) return invalid('malformed header');
  if ('problem' in signature) return invalid(signature.problem);
  if (signature.domain !== fromDomain) return { status: 'unchecked', reason: 'not the domain of From' };
  const problem = timeProblem(signature, now);
  return problem === undefined ? undefined : invalid(problem);
}

function invalid(reason: string): Status {
  return { status: 'invalid', reason };
}

function withoutKey(answer: KeyAnswer | undefined): Status {
  if (answer?.kind === 'trouble') return { status: 'temporary', reason: answer.reason };
  return invalid(answer?.kind === 'none' ? answer.reason : 'no key');
}

function textOf(answer: KeyAnswer | undefined): string | undefined {
  return answer?.kind === 'key' ? answer.key.text : undefined;
}

/** The key's text where it was kept from an earlier message. */
function kept(answer: KeyAnswer | undefined): string | undefined {
  return answer?.kind === 'key' && answer.kept ? answer.key.text : undefined;
}
