import type { Context, Reply } from '../context.ts';
import { accountOf, bad, no, ok, selectedOf } from '../context.ts';
import type { MessageCommand } from '../wire/command.ts';
import { codes, statusLine } from '../wire/response.ts';

type Copy = Extract<MessageCommand, { name: 'COPY' | 'MOVE' }>;

/** RFC 9051 6.4.7, RFC 6851 MOVE: all messages or none. */
export async function copy(command: Copy, context: Context): Promise<Reply> {
  const { store, clock } = context.parts;
  const selected = selectedOf(context);
  const move = command.name === 'MOVE';
  if (move && selected.readOnly) return no('Mailbox is read-only', 'NOPERM');
  const { uids, exceeds } = selected.resolve(command.set, command.uid);
  if (exceeds) return bad('No such message number');
  const target = await store.mailboxes.find(accountOf(context).id, command.mailbox);
  if (!target) return no('No such mailbox', 'TRYCREATE');
  // RFC 9051 6.4.9: UIDs that do not exist are no error.
  if (uids.length === 0) return ok('No messages');

  const copied = await store.messages.copy(selected.mailbox, uids, target.id, {
    move,
    now: clock.now(),
    origin: context.id,
  });
  if (copied === 'missing') return no('No such mailbox', 'TRYCREATE');
  if (copied === 'over-quota') return no('Mailbox is full', 'OVERQUOTA');
  if (copied.source.length === 0) return ok('No messages');
  const code = codes.copyUid(copied.uidValidity, copied.source, copied.target);
  if (!move) return ok('COPY completed', code);
  // RFC 6851 4.3: before the EXPUNGEs, so untagged.
  context.write(statusLine('*', 'OK', 'Moved', code));
  selected.expunged(copied.source);
  return ok('MOVE completed');
}
