import type { Context, Reply } from '../context.ts';
import { ok } from '../context.ts';
import { untagged } from '../wire/response.ts';

/** RFC 2971. Only the name: which version runs is nobody's business who has not asked the operator. */
export function id(context: Context): Reply {
  context.write(untagged.id([['name', 'Teal']]));
  return ok('ID completed');
}
