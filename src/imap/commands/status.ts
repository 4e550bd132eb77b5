import type { MailboxStatus } from '../../store/contract.ts';
import type { Context, Reply } from '../context.ts';
import { accountOf, bad, no, ok } from '../context.ts';
import type { StatusItem } from '../wire/command.ts';
import { untagged } from '../wire/response.ts';

/** RFC 9051 6.3.11. */
export async function status(name: string, items: readonly StatusItem[], context: Context): Promise<Reply> {
  const { mailboxes } = context.parts.store;
  // IMAP4rev2's own; we do not offer that, and the store does not count them.
  if (items.includes('DELETED')) return bad('Unknown STATUS item DELETED');
  const mailbox = await mailboxes.find(accountOf(context).id, name);
  const found = mailbox && (await mailboxes.status(mailbox.id));
  if (!found) return no('No such mailbox', 'NONEXISTENT');
  // RFC 7162 3.1: asking for it turns CONDSTORE on.
  if (items.includes('HIGHESTMODSEQ')) context.condstore = true;
  context.write(untagged.status(found.name, statusValues(found, items)));
  return ok('STATUS completed');
}

/** The items with their values, in the order asked. */
export function statusValues(
  found: MailboxStatus,
  items: readonly StatusItem[],
): (readonly [StatusItem, number])[] {
  const values: Record<StatusItem, number> = {
    MESSAGES: found.messages,
    RECENT: 0,
    UIDNEXT: found.uidNext,
    UIDVALIDITY: found.uidValidity,
    UNSEEN: found.unseen,
    HIGHESTMODSEQ: Math.max(1, found.highestModseq),
    SIZE: found.size,
    DELETED: 0,
  };
  return items.map((item) => [item, values[item]] as const);
}
