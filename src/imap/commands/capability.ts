import type { Context, Reply } from '../context.ts';
import { ok } from '../context.ts';
import { untagged } from '../wire/response.ts';

/** RFC 9051 6.1.1. */
export function capability(context: Context): Reply {
  context.write(untagged.capability(context.capabilities()));
  return ok('CAPABILITY completed');
}
