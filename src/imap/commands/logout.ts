import type { Context, Reply } from '../context.ts';
import { ok } from '../context.ts';
import { statusLine } from '../wire/response.ts';

/** RFC 9051 6.1.3: BYE first, then OK, then we close. */
export function logout(context: Context): Reply {
  context.write(statusLine('*', 'BYE', 'Logging out'));
  return { ...ok('LOGOUT completed'), after: () => context.connection.end() };
}
