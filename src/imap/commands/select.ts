import type { Context, Reply } from '../context.ts';
import { accountOf, no, ok } from '../context.ts';
import { systemFlags } from '../wire/flags.ts';
import { codes, statusLine, untagged } from '../wire/response.ts';

/**
 * RFC 9051 6.3.2 and 6.3.3. UIDNEXT and EXISTS are of one instant: Delta Chat fetches up to that UIDNEXT and takes no
 * other EXISTS here for new mail, so what comes meanwhile is told with a later command (client.md 2.6 and 2.7).
 */
export async function select(
  { mailbox: name, condstore }: { readonly mailbox: string; readonly condstore: boolean },
  readOnly: boolean,
  context: Context,
): Promise<Reply> {
  // RFC 9051 6.3.2: whatever comes of it, the mailbox before is no longer selected.
  context.unselect();
  const mailbox = await context.parts.store.mailboxes.find(accountOf(context).id, name);
  const opened = mailbox && (await context.open(mailbox, readOnly));
  if (!opened) return no('No such mailbox', 'NONEXISTENT');
  if (condstore) context.condstore = true;

  const { selected, uidValidity, uidNext, highestModseq, firstUnseen } = opened;
  const unseen = firstUnseen === undefined ? 0 : selected.numberOf(firstUnseen);
  context.write(
    untagged.flags(systemFlags),
    statusLine('*', 'OK', 'Flags that stay', codes.permanentFlags(readOnly ? [] : [...systemFlags, '\\*'])),
    untagged.exists(selected.uids.length),
    untagged.recent(0),
    unseen > 0 ? statusLine('*', 'OK', 'First unseen', codes.unseen(unseen)) : '',
    statusLine('*', 'OK', 'UIDs valid', codes.uidValidity(uidValidity)),
    statusLine('*', 'OK', 'Predicted next UID', codes.uidNext(uidNext)),
    // RFC 7162 3.1.2.1: at least 1.
    statusLine('*', 'OK', 'Highest', codes.highestModseq(Math.max(1, highestModseq))),
  );
  return readOnly ? ok('EXAMINE completed', 'READ-ONLY') : ok('SELECT completed', 'READ-WRITE');
}
