import type { Context, Reply } from '../context.ts';
import { accountOf, no, ok } from '../context.ts';
import { untagged } from '../wire/response.ts';

/** One root for all mailboxes of an account; the name is Dovecot's, which Delta Chat shows (client.md 2.6, 9). */
const ROOT = 'User quota';

/** RFC 9208 4.1.2. */
export async function getQuota(root: string, context: Context): Promise<Reply> {
  if (root !== ROOT) return no('No such quota root', 'NONEXISTENT');
  context.write(await quotaLine(context));
  return ok('GETQUOTA completed');
}

/** RFC 9208 4.1.3. */
export async function getQuotaRoot(name: string, context: Context): Promise<Reply> {
  const mailbox = await context.parts.store.mailboxes.find(accountOf(context).id, name);
  if (!mailbox) return no('No such mailbox', 'NONEXISTENT');
  context.write(untagged.quotaRoot(mailbox.name, ROOT), await quotaLine(context));
  return ok('GETQUOTAROOT completed');
}

/** RFC 9208 4.1.4: only the operator sets limits. */
export function setQuota(): Reply {
  return no('Quota is set by the relay', 'NOPERM');
}

async function quotaLine(context: Context): Promise<Buffer> {
  const { used, limit } = await context.parts.store.accounts.quota(accountOf(context).id);
  return untagged.quota(ROOT, Math.ceil(used / 1024), Math.floor(limit / 1024));
}
