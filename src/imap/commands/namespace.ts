import type { Context, Reply } from '../context.ts';
import { ok } from '../context.ts';
import { untagged } from '../wire/response.ts';

/** RFC 2342. */
export function namespace(context: Context): Reply {
  context.write(untagged.namespace());
  return ok('NAMESPACE completed');
}
