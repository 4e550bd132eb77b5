import { ObjectId } from 'mongodb';
import type { Db } from 'mongodb';
import type { CatchUp, MailboxChange, Position } from './followed-mailbox.ts';

/** Messages read at once: a session gives up long before (imap/selected.ts, MAX_UNTOLD). */
const MAX_CHANGES = 20_000;

interface MessageRow {
  readonly uid: number;
  readonly modseq: number;
  readonly flags: readonly string[];
}

/**
 * What became of a mailbox since a position, whoever did it: messages say themselves when they last changed, WildDuck's
 * journal says what was expunged within its life of three hours. Undefined where the mailbox is gone.
 */
export async function changesSince(database: Db, position: Position): Promise<CatchUp | undefined> {
  const { account, told, missed, highestUid } = position;
  const mailbox = new ObjectId(position.mailbox);
  const found = await database
    .collection<{ modifyIndex: number }>('mailboxes')
    .findOne({ _id: mailbox }, { projection: { modifyIndex: 1 } });
  if (!found) return undefined;
  // The counter first: what is above it will be told by itself.
  const highest = found.modifyIndex;
  if (highest <= told && missed.length === 0) return { highestModseq: told, changes: [] };
  const expunges = await database
    .collection<{ uid: number; modseq: number }>('journal')
    .find(
      {
        mailbox,
        command: 'EXPUNGE',
        $or: [{ modseq: { $gt: told, $lte: highest } }, { modseq: { $in: [...missed] } }],
      },
      { projection: { uid: 1, modseq: 1 } },
    )
    .toArray();
  const messages = await database
    .collection<MessageRow>('messages')
    .find(
      { mailbox, $or: [{ modseq: { $gt: told } }, { modseq: { $in: [...missed] } }] },
      { projection: { uid: 1, modseq: 1, flags: 1 } },
    )
    .sort({ modseq: 1 })
    .limit(MAX_CHANGES)
    .toArray();
  const last = messages.at(-1)?.modseq ?? highest;
  const upTo = messages.length < MAX_CHANGES ? highest : Math.min(highest, last);

  const changes: MailboxChange[] = [];
  const common = { account, mailbox: position.mailbox };
  const flags = new Map<number, { uid: number; flags: readonly string[] }[]>();
  for (const message of messages) {
    const { uid, modseq } = message;
    if (uid > highestUid) {
      // One that came before `upTo` and was changed after it is told of now: its change alone would say nothing.
      const change = { kind: 'exists', ...common, uid, flags: message.flags } as const;
      changes.push({ ...change, modseq: Math.min(modseq, upTo) });
    } else if (modseq <= upTo) {
      flags.set(modseq, [...(flags.get(modseq) ?? []), { uid, flags: message.flags }]);
    }
  }
  for (const [modseq, changed] of flags)
    changes.push({ kind: 'flags', ...common, modseq, messages: changed });
  const gone = Map.groupBy(
    expunges.filter(({ modseq }) => modseq <= upTo),
    ({ modseq }) => modseq,
  );
  for (const [modseq, entries] of gone) {
    const uids = [...new Set(entries.map(({ uid }) => uid))].sort((one, other) => one - other);
    changes.push({ kind: 'expunge', ...common, modseq, uids });
  }
  changes.sort((one, other) => one.modseq - other.modseq || uidOf(one) - uidOf(other));
  return { highestModseq: upTo, changes };
}

function uidOf(change: MailboxChange): number {
  return change.kind === 'exists' ? change.uid : 0;
}
