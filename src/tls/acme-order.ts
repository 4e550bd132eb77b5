import { isIP } from 'node:net';
import type { Authorization, Client, Order } from 'acme-client';
import { minute, pause, second } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { AcmeProblem, AcmeUnreachable, describeProblem } from './acme-http.ts';
import type { OpenChallenges } from './challenges.ts';

export interface OrderParts {
  /** With an account. */
  readonly client: Client;
  readonly challenges: OpenChallenges;
  readonly clock: Clock;
  /** Breaks off the waiting. */
  readonly signal: AbortSignal;
}

export interface Ordered {
  /** PEM, the chain as the authority gave it. */
  readonly cert: string;
  /** Those that are in it. */
  readonly names: readonly string[];
  /** Names that the authority would not have, with its reasons; they are not in the certificate. */
  readonly refused: ReadonlyMap<string, string>;
}

/** The authority will not have the one name that must be in the certificate. */
export class NameRefused extends Error {
  override readonly name = 'NameRefused';
}

/** Between the first two questions for the state of things, and between any two at most. */
const POLL_FIRST = second / 4;
const POLL_MOST = 4 * second;
/** Authorities look from several places, and some wait between tries; Let's Encrypt is done within seconds. */
const MAX_WAIT = 2 * minute;
/** A name is tried by each challenge and then left out: with four names there is an end after nine rounds at most. */
const MAX_ROUNDS = 10;
/** In this order: what 80 answers needs no state, what 443 answers is read from the store by the other processes. */
const CHALLENGES = ['http-01', 'tls-alpn-01'];
/** Problems with names, not with us or with the hour (RFC 8555 6.7). */
const ABOUT_NAMES = new Set([
  'rejectedIdentifier',
  'unsupportedIdentifier',
  'caa',
  'dns',
  'malformed',
  'badCSR',
]);

/** By name, the challenges that failed and why. */
type Failures = Map<string, Map<string, string>>;

/**
 * Orders one certificate for `names`, the first of which must be in it; the others are left out where the authority
 * refuses them. `key` (PEM, P-256) is the certificate's. Rejects with NameRefused, AcmeProblem or AcmeUnreachable.
 */
export async function orderCertificate(
  { names, key, profile }: { names: readonly string[]; key: string; profile?: string | undefined },
  parts: OrderParts,
): Promise<Ordered> {
  const [main = '', ...others] = names;
  const refused = new Map<string, string>();
  const failures: Failures = new Map();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const left = [main, ...others.filter((name) => !refused.has(name))];
    try {
      const order = await parts.client.createOrder(requestOf(left, profile));
      const outcome = await authorize(order, failures, parts);
      for (const [name, reason] of outcome.refused) refused.set(name, reason);
      if (outcome.whole) return { cert: await finish(order, left, key, parts), names: left, refused };
    } catch (error) {
      if (!(error instanceof AcmeProblem) || !ABOUT_NAMES.has(error.type) || left.length === 1) throw error;
      // It may not say which: then the one name that must be in it goes alone, and the others wait for another day.
      const named = left.filter((name) => error.refused.has(name));
      for (const name of named.length > 0 ? named : left.slice(1))
        refused.set(name, error.refused.get(name) ?? error.message);
    }
    const reason = refused.get(main);
    if (reason !== undefined) throw new NameRefused(`${main}: ${reason}`);
  }
  throw new NameRefused(`${main}: no end of refusals`);
}

/** The profile is not in acme-client's types (draft-ietf-acme-profiles). */
function requestOf(names: readonly string[], profile: string | undefined) {
  return {
    identifiers: names.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value })),
    ...(profile === undefined ? {} : { profile }),
  };
}

/**
 * Takes one challenge for each name of the order and waits for the verdicts. `whole`: every name is authorized. A name
 * that fails is refused only when it has failed every challenge that is offered; else it gets the next one in another
 * order, for a failed one ends its order (RFC 8555 7.1.6).
 */
async function authorize(
  order: Order,
  failures: Failures,
  parts: OrderParts,
): Promise<{ whole: boolean; refused: ReadonlyMap<string, string> }> {
  const { client } = parts;
  const refused = new Map<string, string>();
  /** By name, the challenge taken and those that are left after it. */
  const taken = new Map<string, readonly string[]>();
  await using shown = new AsyncDisposableStack();
  for (const authorization of await client.getAuthorizations(order)) {
    if (authorization.status !== 'pending') continue;
    const name = authorization.identifier.value;
    const left = CHALLENGES.filter((type) => !failures.get(name)?.has(type)).flatMap((type) =>
      authorization.challenges.filter((offered) => String(offered.type) === type),
    );
    const [challenge] = left;
    if (challenge === undefined) {
      refused.set(name, `the authority offers none of ${CHALLENGES.join(', ')}`);
      continue;
    }
    if (String(challenge.type) === 'tls-alpn-01')
      shown.defer(await show(authorization, challenge.token, parts));
    taken.set(
      name,
      left.map(({ type }) => type),
    );
    await client.completeChallenge(challenge);
  }

  let whole = refused.size === 0;
  for (const authorization of await verdicts(order, taken, parts)) {
    if (authorization.status === 'valid') continue;
    whole = false;
    const name = authorization.identifier.value;
    const [type, ...left] = taken.get(name) ?? [];
    if (type === undefined) continue;
    const failed = failures.get(name) ?? new Map<string, string>();
    const error = authorization.challenges.find((offered) => offered.type === type)?.error;
    failures.set(name, failed.set(type, describeProblem(error)));
    if (left.length === 0) refused.set(name, [...failed].map(([one, why]) => `${one}: ${why}`).join('; '));
  }
  return { whole, refused };
}

/** Shows the certificate that answers TLS-ALPN-01 for a name until the returned function is called. */
async function show(
  authorization: Authorization,
  token: string,
  { challenges }: OrderParts,
): Promise<() => Promise<void>> {
  const { crypto } = await import('acme-client');
  const key = await crypto.createPrivateEcdsaKey('P-256');
  const proof = challenges.keyAuthorization(token);
  const [, cert] = await crypto.createAlpnCertificate(authorization, proof, key);
  return challenges.show(authorization.identifier.value, { key: String(key), cert: String(cert) });
}

/** The authorizations of an order when none that we took a challenge of is pending any more. */
async function verdicts(
  order: Order,
  taken: ReadonlyMap<string, unknown>,
  parts: OrderParts,
): Promise<readonly Authorization[]> {
  return poll(parts, async () => {
    const all = await parts.client.getAuthorizations(order);
    const open = all.filter(({ status, identifier }) => status === 'pending' && taken.has(identifier.value));
    if (open.length === 0) return all;
    return `no verdict on ${open.map(({ identifier }) => identifier.value).join(', ')}`;
  });
}

/** RFC 8555 7.4: the request for the certificate, and the certificate. */
async function finish(
  order: Order,
  names: readonly string[],
  key: string,
  parts: OrderParts,
): Promise<string> {
  const { crypto } = await import('acme-client');
  // No common name: it holds 64 characters at most, no address, and nobody looks at it.
  const [, request] = await crypto.createCsr({ altNames: [...names] }, key);
  await parts.client.finalizeOrder(order, request);
  const done = await poll(parts, async () => {
    const now = await parts.client.getOrder(order);
    if (now.status === 'invalid') throw new NameRefused(describeProblem(now.error));
    return now.status === 'valid' ? now : `the order is ${now.status}`;
  });
  return parts.client.getCertificate(done);
}

/** Asks until the answer is no text, which says what it waits for; rejects with AcmeUnreachable after MAX_WAIT. */
async function poll<Answer extends object>(
  { clock, signal }: OrderParts,
  ask: () => Promise<Answer | string>,
): Promise<Answer> {
  const end = clock.now() + MAX_WAIT;
  for (let wait = POLL_FIRST; ; wait = Math.min(2 * wait, POLL_MOST)) {
    const answer = await ask();
    if (typeof answer !== 'string') return answer;
    if (clock.now() >= end) throw new AcmeUnreachable(`gave up waiting: ${answer}`);
    await pause(clock, wait, signal);
    if (signal.aborted) throw new AcmeUnreachable(`broken off: ${answer}`);
  }
}
