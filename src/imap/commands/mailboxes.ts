import type { Context, Reply } from '../context.ts';
import { accountOf, no, ok } from '../context.ts';
import { DELIMITER, isCreatable, withoutTrailingDelimiter } from '../mailbox-name.ts';

const MISSING = no('No such mailbox', 'NONEXISTENT');
const EXISTS = no('Mailbox exists', 'ALREADYEXISTS');
const BAD_NAME = no('Mailbox name not allowed', 'CANNOT');

/** RFC 9051 6.3.4. Levels above it need not exist: LIST shows them all the same. */
export async function create(name: string, context: Context): Promise<Reply> {
  const wanted = withoutTrailingDelimiter(name);
  if (!isCreatable(wanted)) return BAD_NAME;
  const { store, clock } = context.parts;
  switch (await store.mailboxes.create(accountOf(context).id, wanted, clock.now())) {
    case 'created':
      return ok('CREATE completed');
    case 'exists':
      return EXISTS;
    case 'too-many':
      return no('Too many mailboxes', 'LIMIT');
  }
}

/** RFC 9051 6.3.5. Mailboxes below it stay. */
export async function remove(name: string, context: Context): Promise<Reply> {
  const { mailboxes } = context.parts.store;
  if (name === 'INBOX') return no('INBOX cannot be deleted', 'CANNOT');
  const mailbox = await mailboxes.find(accountOf(context).id, name);
  if (!mailbox) return MISSING;
  // Our own mailbox is left first; others who have it selected are sent away by the change.
  if (context.selected?.mailbox === mailbox.id) context.unselect();
  return (await mailboxes.remove(mailbox.id)) === 'removed' ? ok('DELETE completed') : MISSING;
}

/**
 * RFC 9051 6.3.6: mailboxes below it go along, one after the other. INBOX is not renamed: the RFC would have us move
 * its mail and leave it empty, which nobody who writes to a phone wants.
 */
export async function rename(from: string, to: string, context: Context): Promise<Reply> {
  const { mailboxes } = context.parts.store;
  const target = withoutTrailingDelimiter(to);
  if (from === 'INBOX') return no('INBOX cannot be renamed', 'CANNOT');
  const all = await mailboxes.list(accountOf(context).id);
  const moving = all
    .filter(({ name }) => name === from || name.startsWith(from + DELIMITER))
    .map(({ id, name }) => ({ id, target: target + name.slice(from.length) }));
  if (moving.length === 0) return MISSING;
  if (target.startsWith(from + DELIMITER) || !moving.every((each) => isCreatable(each.target))) {
    return BAD_NAME;
  }
  const taken = new Set(all.map(({ name }) => name));
  if (moving.some((each) => taken.has(each.target))) return EXISTS;
  for (const { id, target: name } of moving) {
    const renamed = await mailboxes.rename(id, name);
    if (renamed !== 'renamed') return renamed === 'exists' ? EXISTS : MISSING;
  }
  return ok('RENAME completed');
}

/** RFC 9051 6.3.7 and 6.3.8. Only mailboxes that exist can be subscribed, so nothing has to be kept of others. */
export async function subscribe(name: string, subscribed: boolean, context: Context): Promise<Reply> {
  const { mailboxes } = context.parts.store;
  const mailbox = await mailboxes.find(accountOf(context).id, name);
  if (!mailbox) return MISSING;
  await mailboxes.subscribe(mailbox.id, subscribed);
  return ok(subscribed ? 'SUBSCRIBE completed' : 'UNSUBSCRIBE completed');
}
