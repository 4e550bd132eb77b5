import type { Context, Reply } from '../context.ts';
import { no, ok, selectedOf } from '../context.ts';
import type { SequenceSet } from '../wire/sequence-set.ts';

/** RFC 9051 6.4.3; with `set` UID EXPUNGE (6.4.9). The numbers are told with the notices that end the command. */
export async function expunge(set: SequenceSet | undefined, context: Context): Promise<Reply> {
  const selected = selectedOf(context);
  if (selected.readOnly) return no('Mailbox is read-only', 'NOPERM');
  const uids = set ? selected.resolve(set, true).uids : 'all';
  selected.expunged(await context.parts.store.messages.expunge(selected.mailbox, uids, context.id));
  return ok('EXPUNGE completed');
}
