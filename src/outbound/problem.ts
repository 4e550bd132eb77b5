import type { Problem, RecipientOutcome } from './consignment.ts';
import { replyText } from './reply.ts';
import type { Reply } from './reply.ts';
import { TlsRefused } from './smtp-client.ts';
import { SmtpRefused } from './smtp-wire.ts';

/** Characters of another's reply that are kept. */
const MAX_REPLY_TEXT = 400;

/** What stopped a consignment for all of its recipients that have no outcome yet. */
export class Stopped extends Error {
  override name = 'Stopped';
  readonly outcome: 'deferred' | 'failed';
  readonly problem: Problem;
  /** Whether another host may do better: not where this one has answered, or may have taken the message. */
  readonly tryNext: boolean;

  constructor(outcome: 'deferred' | 'failed', problem: Problem, tryNext = false) {
    super(problem.text);
    this.outcome = outcome;
    this.problem = problem;
    this.tryNext = tryNext;
  }
}

/** A refusal by `host`: 5yz is for ever, everything else may pass (RFC 5321 4.2.1), also what is no refusal at all. */
export function refusedBy(
  host: string,
  reply: Reply,
  doing: string,
): RecipientOutcome & { problem: Problem } {
  const failed = reply.code >= 500;
  return {
    kind: failed ? 'failed' : 'deferred',
    problem: {
      status: reply.status ?? (failed ? '5.0.0' : '4.0.0'),
      host,
      reply: told(reply),
      text: reply.code < 400 ? `${host} gave an answer that does not fit` : `${host} refused ${doing}`,
    },
  };
}

/** Something of ours, of the network or of DNS. */
export function trouble(status: string, text: string, host?: string): Problem {
  return { status, host, reply: undefined, text };
}

/** What sending to `host` failed of, in words and as RFC 3463 has it. */
export function stoppedBy(error: unknown, host: string): Stopped {
  if (error instanceof Stopped) return error;
  if (error instanceof SmtpRefused && error.reply) {
    const { kind, problem } = refusedBy(host, error.reply, 'the connection');
    return new Stopped(kind === 'failed' ? 'failed' : 'deferred', problem, true);
  }
  if (error instanceof TlsRefused) {
    const problem = trouble('4.7.5', `no safe TLS with ${host}: ${error.message}`, host);
    return new Stopped('deferred', { ...problem, reply: told(error.reply) }, true);
  }
  return new Stopped('deferred', trouble('4.4.1', `${host} cannot be reached: ${textOf(error)}`, host), true);
}

export function textOf(error: unknown): string {
  // Of several addresses that fail, node tells each.
  if (error instanceof AggregateError) return error.errors.map(textOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

function told(reply: Reply | undefined): string | undefined {
  return reply && replyText(reply).slice(0, MAX_REPLY_TEXT);
}
