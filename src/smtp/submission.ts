import type { SMTPServerOptions } from 'smtp-server';
import type { Login } from '../accounts/login.ts';
import { refuse } from '../errors.ts';
import type { Refusal } from '../errors.ts';
import type { RateLimit } from '../limits/rate-limit.ts';
import type { Events, Service } from '../observe/events.ts';
import { createListener } from './listener.ts';
import type { Listener, ListenerParts } from './listener.ts';
import type { SessionRules } from './session.ts';

export interface SubmissionParts extends ListenerParts {
  /** 465 (RFC 8314) or 587. */
  readonly mode: 'implicit' | 'starttls';
  readonly login: Login;
  readonly rateLimits: {
    /** One for each MAIL FROM, by account. */
    readonly messages: RateLimit;
    /** As many as a transaction has recipients, by account. */
    readonly recipients: RateLimit;
  };
}

/** Ports 465 and 587, mail from our users: AUTH under TLS 1.3 (relay.md 4). Rejects when the port cannot be bound. */
export function createSubmission(parts: SubmissionParts): Promise<Listener> {
  const service: Service = parts.mode === 'implicit' ? 'submissions' : 'submission';
  return createListener(parts, {
    service,
    implicitTls: parts.mode === 'implicit',
    minTls: 'TLSv1.3',
    rules: submissionRules(parts),
    onAuth: authenticate(service, parts.login, parts.events),
  });
}

function submissionRules({ domain, rateLimits }: SubmissionParts): SessionRules {
  return {
    async sender(sender, user = '') {
      if (sender.toLowerCase() !== user) {
        return refuse('sender_not_owned', 'MAIL FROM is not the login', { sender, user });
      }
      const taken = await rateLimits.messages.take(user);
      if (taken.ok) return undefined;
      return refuse('rate_limited', 'messages a minute', { sender, until: when(taken.until) });
    },
    recipient: (recipient) =>
      mayBeReached(recipient, domain)
        ? undefined
        : refuse('recipient_domain', 'domain without a dot', { recipient }),
    // Here and not at RCPT: a client gives a message up for all its recipients when one is refused (client.md 3.2).
    async transaction(sender, recipients) {
      const taken = await rateLimits.recipients.take(sender.toLowerCase(), recipients);
      if (taken.ok) return undefined;
      return refuse('recipients_limited', `${recipients} recipients`, { sender, until: when(taken.until) });
    },
  };
}

/** A name without a dot is of one network only; ours may be such a one in a test. Its syntax has been read before. */
function mayBeReached(recipient: string, domain: string): boolean {
  const at = recipient.slice(recipient.lastIndexOf('@') + 1).toLowerCase();
  return at.startsWith('[') || at.includes('.') || at === domain;
}

function when(time: number): string {
  return new Date(time).toISOString();
}

/** smtp-server has read name and password (AUTH PLAIN or LOGIN); what it is answered with becomes the session's user. */
function authenticate(
  service: Service,
  login: Login,
  events: Events,
): NonNullable<SMTPServerOptions['onAuth']> {
  return (auth, session, done) => {
    const { username = '', authzid = '' } = auth;
    // RFC 4616 2: to act as somebody else is a right that nobody has here.
    if (authzid !== '' && authzid.toLowerCase() !== username.toLowerCase()) {
      return done(asError(refuse('authentication_failed', 'acts for another')));
    }
    // relay.md 6: a login that only sends does not keep an account alive.
    login(username, auth.password ?? '', { countsAsUse: false, peer: session.remoteAddress }).then(
      (outcome) => {
        if (outcome.kind === 'refused') return done(asError(refuse('authentication_failed', outcome.reason)));
        if (outcome.kind === 'unavailable') return done(asError(refuse('login_unavailable', outcome.reason)));
        events.loggedIn(service, session.id);
        done(null, { user: outcome.account.address });
      },
      (error: unknown) => {
        events.fault('smtp login', error);
        done(asError(refuse('login_unavailable', 'fault while logging in')));
      },
    );
  };
}

/** How smtp-server wants a refusal: the code apart, the rest as the text. */
function asError({ reply }: Refusal): Error & { responseCode: number } {
  return Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
}
