import type { Context, Reply } from '../context.ts';
import { ok, selectedOf } from '../context.ts';

/** RFC 9051 6.4.1: removes what is marked \Deleted, without a word about each; nothing from a read-only mailbox. */
export async function close(context: Context): Promise<Reply> {
  const { mailbox, readOnly } = selectedOf(context);
  context.unselect();
  if (!readOnly) await context.parts.store.messages.expunge(mailbox, 'all', context.id);
  return ok('CLOSE completed');
}

/** RFC 9051 6.4.2: as CLOSE, but removes nothing. */
export function unselect(context: Context): Reply {
  context.unselect();
  return ok('UNSELECT completed');
}
