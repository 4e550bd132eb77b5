import type { MailboxChange } from './followed-mailbox.ts';

/**
 * One list, ascending by modseq, of changes that came by themselves and of what was read of the same time. What came
 * says who did it, so it stands; what was read has each message once, as it is now, and fills in the rest.
 */
export function mergeChanges(
  came: readonly MailboxChange[],
  read: readonly MailboxChange[],
): readonly MailboxChange[] {
  const modseqs = new Set(came.map(({ modseq }) => modseq));
  const arrived = new Set(came.flatMap((change) => (change.kind === 'exists' ? [change.uid] : [])));
  /** Messages that only the reading tells of: it says their flags, too. */
  const readArrivals = new Set<number>();
  const merged: MailboxChange[] = [];
  for (const change of read) {
    if (change.kind === 'exists') {
      if (!arrived.has(change.uid)) {
        readArrivals.add(change.uid);
        merged.push(change);
      } else if (!modseqs.has(change.modseq)) {
        // It came, and was changed since.
        const { uid, flags, account, mailbox, modseq } = change;
        merged.push({ kind: 'flags', account, mailbox, modseq, messages: [{ uid, flags }] });
      }
    } else if (!modseqs.has(change.modseq)) {
      merged.push(change);
    }
  }
  for (const change of came) {
    if (change.kind !== 'flags') merged.push(change);
    else {
      const messages = change.messages.filter(({ uid }) => !readArrivals.has(uid));
      if (messages.length > 0) merged.push({ ...change, messages });
    }
  }
  return inOrder(merged);
}

/**
 * By modseq, and messages arrive by UID, as clients must hear of them. One that was changed since has a higher modseq
 * than later ones by now: as it is told with what it is now, it is told before them.
 */
function inOrder(changes: readonly MailboxChange[]): readonly MailboxChange[] {
  const arrivals = changes
    .filter((change) => change.kind === 'exists')
    .sort((one, other) => other.uid - one.uid);
  let lowest = Infinity;
  const ascending = arrivals.map((change) => {
    lowest = Math.min(lowest, change.modseq);
    return lowest === change.modseq ? change : { ...change, modseq: lowest };
  });
  // Sorting keeps the order of equals.
  return [...ascending.reverse(), ...changes.filter(({ kind }) => kind !== 'exists')].sort(
    (one, other) => one.modseq - other.modseq,
  );
}
