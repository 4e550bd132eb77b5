import type { Context, Reply } from '../context.ts';
import { ok } from '../context.ts';
import { untagged } from '../wire/response.ts';

/** RFC 5161: what we do not know is passed over in silence; the answer comes even if nothing was enabled. */
export function enable(capabilities: readonly string[], context: Context): Reply {
  const enabled: string[] = [];
  if (capabilities.includes('CONDSTORE')) {
    context.condstore = true;
    enabled.push('CONDSTORE');
  }
  context.write(untagged.enabled(enabled));
  return ok('ENABLE completed');
}
