import type { LoginOutcome } from '../../accounts/login.ts';
import { TooManyListeners } from '../../notify/changes.ts';
import { StoreUnavailable } from '../../store/contract.ts';
import type { Context, Reply } from '../context.ts';
import { bad, no, ok } from '../context.ts';
import { codes, continuation } from '../wire/response.ts';
import { decodeBase64, parsePlain } from '../wire/sasl.ts';

/** Refused logins on one connection; each has cost the peer the tarpit's delay already. */
export const MAX_FAILED_LOGINS = 5;

/** RFC 5530. Not in the clear: the answer must not depend on the password either. */
const IN_THE_CLEAR = no('Use STARTTLS first', 'PRIVACYREQUIRED');

/** RFC 9051 6.2.3. */
export async function login(username: string, password: string, context: Context): Promise<Reply> {
  if (!context.connection.secure) return IN_THE_CLEAR;
  return signIn(username, password, context);
}

/** RFC 9051 6.2.2 with PLAIN (RFC 4616), the initial response by RFC 4959. */
export async function authenticate(
  mechanism: string,
  initial: string | undefined,
  context: Context,
): Promise<Reply> {
  if (!context.connection.secure) return IN_THE_CLEAR;
  if (mechanism !== 'PLAIN') return no('Unsupported mechanism, use PLAIN', 'CANNOT');
  let response = initial;
  if (response === undefined) {
    context.write(continuation(''));
    context.connection.out.flush();
    const event = await context.connection.nextLine();
    if (event.kind === 'refused') return tooLong(event.close, context);
    response = event.line.toString('latin1');
  }
  // RFC 9051 6.2.2: a client that changes its mind.
  if (response === '*') return bad('AUTHENTICATE cancelled');
  const bytes = decodeBase64(response);
  const plain = bytes && parsePlain(bytes);
  if (!plain) return bad('Malformed PLAIN response');
  // Nobody may act for somebody else.
  if (plain.authorize !== '' && plain.authorize !== plain.username) return refused(context);
  return signIn(plain.username, plain.password, context);
}

function tooLong(close: boolean, context: Context): Reply {
  const reply = bad('Response is too long');
  return close ? { ...reply, after: () => context.connection.end() } : reply;
}

async function signIn(username: string, password: string, context: Context): Promise<Reply> {
  const outcome = await ask(username, password, context);
  if (outcome.kind === 'refused') return refused(context);
  // client.md 2.6, 12: with "authentication" in it, Delta Chat would tell the user that the password is wrong.
  if (outcome.kind === 'unavailable') return no('Temporary failure, try again later', 'UNAVAILABLE');
  try {
    context.signIn(outcome.account);
  } catch (error) {
    if (!(error instanceof TooManyListeners)) throw error;
    return {
      ...no('Too many sessions of this account, try again later', 'LIMIT'),
      after: () => context.bye('Too many sessions of this account'),
    };
  }
  return ok('Logged in', codes.capability(context.capabilities()));
}

async function ask(username: string, password: string, context: Context): Promise<LoginOutcome> {
  try {
    return await context.parts.login(username, password, { peer: context.peer });
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    context.parts.events.storeUnavailable(error);
    return { kind: 'unavailable', reason: 'store' };
  }
}

function refused(context: Context): Reply {
  context.failedLogins += 1;
  const reply = no('Invalid credentials', 'AUTHENTICATIONFAILED');
  if (context.failedLogins < MAX_FAILED_LOGINS) return reply;
  return { ...reply, after: () => context.bye('Too many failed logins') };
}
