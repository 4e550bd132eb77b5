import type { IncomingMessage } from 'node:http';
import { request as requestInClear } from 'node:http';
import { request as requestByTls } from 'node:https';
import { text } from 'node:stream/consumers';
import { minute, second } from '../clock.ts';

/** The authority said no (RFC 8555 6.7); the message is its own words, for the operator. */
export class AcmeProblem extends Error {
  override readonly name = 'AcmeProblem';
  /** What follows `urn:ietf:params:acme:error:`, else the type as it came. */
  readonly type: string;
  readonly status: number;
  /** The names that were refused, where it named any (RFC 8555 6.7.1). */
  readonly refused: ReadonlyMap<string, string>;
  /** Milliseconds for which it wants to be left alone. */
  readonly retryAfter: number | undefined;

  constructor(problem: {
    readonly message: string;
    readonly type: string;
    readonly status: number;
    readonly refused: ReadonlyMap<string, string>;
    readonly retryAfter: number | undefined;
  }) {
    super(problem.message);
    this.type = problem.type;
    this.status = problem.status;
    this.refused = problem.refused;
    this.retryAfter = problem.retryAfter;
  }
}

/** No answer, or none that an authority gives: down, blocked, or something else listens there. */
export class AcmeUnreachable extends Error {
  override readonly name = 'AcmeUnreachable';
}

/** What acme-client wants to know of a response. */
export interface AcmeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Read as JSON where it says so, else text. */
  readonly data: unknown;
}

/** Rejects with AcmeProblem or AcmeUnreachable. */
export type AcmeRequest = (
  url: string,
  method: string,
  options?: { readonly data?: unknown; readonly headers?: Readonly<Record<string, string>> },
) => Promise<AcmeResponse>;

/** Authorities answer within seconds; the slowest step, finalizing, is polled. */
const TIMEOUT = 30 * second;
/** A chain is some 10 KB, a directory 1 KB. */
const MAX_RESPONSE = 1024 * 1024;
/** A `Retry-After` beyond this is taken for this. */
const MAX_RETRY_AFTER = 48 * 60 * minute;

/**
 * Requests to a certificate authority: one try each, no proxy, no redirect. `trustedCa` (PEM) stands in the place of the
 * roots that come with Node. `signal` breaks off what is under way.
 */
export function createAcmeRequest(options: {
  readonly trustedCa?: string | undefined;
  readonly signal: AbortSignal;
}): AcmeRequest {
  const { trustedCa, signal } = options;
  return async (url, method, { data, headers } = {}) => {
    const body = data === undefined ? undefined : JSON.stringify(data);
    let response: AcmeResponse;
    try {
      response = await exchange(url, body, {
        method: method.toUpperCase(),
        headers: {
          ...headers,
          'user-agent': 'Teal',
          // RFC 8555 6.2.
          ...(body === undefined ? {} : { 'content-type': 'application/jose+json' }),
        },
        // A connection of its own each: one that was kept may be closed just as it is used again.
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
        ...(trustedCa === undefined ? {} : { ca: trustedCa }),
      });
    } catch (error) {
      throw new AcmeUnreachable(`${new URL(url).origin}: ${reasonOf(error)}`, { cause: error });
    }
    if (response.status < 400) return response;
    const problem = problemOf(response, url);
    // acme-client takes a new nonce and tries again (RFC 8555 6.5).
    if (problem.type === 'badNonce') return response;
    throw problem;
  };
}

function exchange(
  url: string,
  body: string | undefined,
  options: Parameters<typeof requestByTls>[1] & { readonly signal: AbortSignal },
): Promise<AcmeResponse> {
  return new Promise((resolve, reject) => {
    const receive = (message: IncomingMessage) => {
      read(message).then((data) => {
        const { statusCode = 0, headers } = message;
        resolve({ status: statusCode, headers, data });
      }, reject);
    };
    const request = url.startsWith('https:')
      ? requestByTls(url, options, receive)
      : requestInClear(url, options, receive);
    request.on('error', reject);
    request.end(body);
  });
}

async function read(message: IncomingMessage): Promise<unknown> {
  let size = 0;
  message.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_RESPONSE) message.destroy(new Error('the answer is too long'));
  });
  const whole = await text(message);
  if (!/\bjson\b/.test(message.headers['content-type'] ?? '')) return whole;
  return whole === '' ? undefined : JSON.parse(whole);
}

function problemOf({ status, headers, data }: AcmeResponse, url: string): AcmeProblem {
  const document = isRecord(data) ? data : {};
  const detail = textOf(document['detail']) ?? `answered with status ${status}`;
  return new AcmeProblem({
    message: `${new URL(url).host}: ${detail}`,
    type: typeOf(document),
    status,
    refused: refusedBy(document['subproblems']),
    retryAfter: retryAfterOf(headers['retry-after']),
  });
}

function refusedBy(subproblems: unknown): ReadonlyMap<string, string> {
  const refused = new Map<string, string>();
  for (const one of Array.isArray(subproblems) ? subproblems : []) {
    if (!isRecord(one) || !isRecord(one['identifier'])) continue;
    const name = textOf(one['identifier']['value']);
    if (name !== undefined) refused.set(name, textOf(one['detail']) ?? typeOf(one));
  }
  return refused;
}

/** The type and words of a problem document (RFC 8555 6.7), such as stands in a failed challenge. */
export function describeProblem(problem: unknown): string {
  if (!isRecord(problem)) return 'refused, without a reason';
  return `${typeOf(problem)}: ${textOf(problem['detail']) ?? 'no details'}`;
}

function typeOf(problem: Readonly<Record<string, unknown>>): string {
  return (textOf(problem['type']) ?? 'unknown').replace(/^urn:ietf:params:acme:error:/, '');
}

/** RFC 9110 10.2.3. A date is taken against the clock of the machine that answers, which we do not know: an hour. */
function retryAfterOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  return /^\d{1,9}$/.test(header) ? Math.min(Number(header) * second, MAX_RETRY_AFTER) : 60 * minute;
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What others wrote goes into our log: one line, and not a long one. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== ''
    ? value.replaceAll(/[\p{Cc}\s]+/gu, ' ').slice(0, 500)
    : undefined;
}
