import { MAX_HEADER_BYTES, parseHeader } from '../../message/header.ts';
import type { Context, Reply } from '../context.ts';
import { accountOf, no, ok } from '../context.ts';
import type { AppendCommand } from '../wire/command.ts';
import { codes } from '../wire/response.ts';

/** RFC 9051 6.3.12. The size was judged before the literal came in, NUL by the parser. */
export async function append(command: AppendCommand, context: Context): Promise<Reply> {
  const { store, clock } = context.parts;
  const { message, flags } = command;
  const mailbox = await store.mailboxes.find(accountOf(context).id, command.mailbox);
  if (!mailbox) return no('No such mailbox', 'TRYCREATE');
  if (message.length === 0) return no('Message is empty', 'CANNOT');

  const headerSize = parseHeader(message).size;
  // As for mail that is delivered: whoever asks for its fields would hold all others up.
  if (headerSize > MAX_HEADER_BYTES) return no('Header too large', 'CANNOT');

  const now = clock.now();
  const appended = await store.messages.append(mailbox.id, {
    now,
    message,
    headerSize,
    flags,
    internalDate: command.internalDate ?? now,
  });
  if (appended === 'missing') return no('No such mailbox', 'TRYCREATE');
  if (appended === 'over-quota') return no('Mailbox is full', 'OVERQUOTA');
  return ok('APPEND completed', codes.appendUid(appended.uidValidity, appended.uid));
}
