import type { Message } from '../../store/contract.ts';
import { MAX_UIDS_AT_ONCE } from '../../store/contract.ts';
import type { Context, Reply } from '../context.ts';
import { bad, no, ok, selectedOf } from '../context.ts';
import type { MessageCommand } from '../wire/command.ts';
import type { Piece } from '../wire/response.ts';
import { codes, fetchItems, fetchLine } from '../wire/response.ts';

type Store = Extract<MessageCommand, { name: 'STORE' }>;

/** Flags of one message: keyword upon keyword would grow without bound. */
const MAX_FLAGS = 64;

/** RFC 9051 6.4.6, RFC 7162 3.1.3. */
export async function store(command: Store, context: Context): Promise<Reply> {
  const selected = selectedOf(context);
  const { messages } = context.parts.store;
  if (selected.readOnly) return no('Mailbox is read-only', 'NOPERM');
  const { uids, exceeds } = selected.resolve(command.set, command.uid);
  if (exceeds) return bad('No such message number');
  const { flags, unchangedSince } = command;
  if (unchangedSince !== undefined) context.condstore = true;

  const refused: number[] = [];
  for (let at = 0; at < uids.length; at += MAX_UIDS_AT_ONCE) {
    const page = uids.slice(at, at + MAX_UIDS_AT_ONCE);
    if (command.action === 'add' && flags.some((flag) => !flag.startsWith('\\'))) {
      const before = await messages.get(selected.mailbox, page);
      if (before.some((message) => tooMany(message, flags))) return no('Too many flags', 'LIMIT');
    }
    const result = await messages.storeFlags(
      selected.mailbox,
      page,
      { action: command.action, flags, ...(unchangedSince === undefined ? {} : { unchangedSince }) },
      context.id,
    );
    for (const uid of result.refused) refused.push(uid);
    for (const message of result.changed) answer(message, command, context);
    await context.connection.out.drained();
  }

  if (refused.length > 0) {
    const numbers = command.uid ? refused : refused.map((uid) => selected.numberOf(uid));
    return ok('Conditional STORE failed for some', codes.modified(numbers));
  }
  // RFC 2180 4.2.1: a message number may belong to a message that is gone and of which we could not tell yet.
  if (!command.uid && selected.anyGone(uids)) return no('Some messages are gone', 'EXPUNGEISSUED');
  return ok('STORE completed');
}

function tooMany(message: Message, added: readonly string[]): boolean {
  return new Set([...message.flags, ...added].map((flag) => flag.toLowerCase())).size > MAX_FLAGS;
}

function answer(message: Message, command: Store, context: Context): void {
  // RFC 7162 3.1.3: with CONDSTORE even .SILENT learns the new MODSEQ.
  if (command.silent && !context.condstore) return;
  const number = selectedOf(context).numberOf(message.uid);
  if (number === 0) return;
  const items: Piece[] = [];
  if (command.uid) items.push(fetchItems.uid(message.uid));
  if (!command.silent) items.push(fetchItems.flags(message.flags));
  if (context.condstore) items.push(fetchItems.modseq(message.modseq));
  context.write(fetchLine(number, items));
}
