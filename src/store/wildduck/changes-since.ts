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
  const { told, missed } = position;
  const mailbox = new ObjectId(position.mailbox);
  const found = await database
    .collection<{ modifyIndex: number; uidNext: number }>('mailboxes')
    .findOne({ _id: mailbox }, { projection: { modifyIndex: 1, uidNext: 1 } });
  if (!found) return undefined;
  // The counters first: what is above them will be told by itself.
  const { modifyIndex: highest, uidNext } = found;
  if (highest <= told && missed.length === 0) return { highestModseq: told, changes: [], modseqs: new Set() };
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
  return catchUpOf(position, { highest: upTo, uidNext, messages, expunges });
}

/** What was read of a mailbox: its counters first, then what was expunged and what there is with a newer modseq. */
export interface Newer {
  readonly highest: number;
  readonly uidNext: number;
  readonly messages: readonly MessageRow[];
  readonly expunges: readonly { readonly uid: number; readonly modseq: number }[];
}

/** Pure: the changes in what was read. */
export function catchUpOf(position: Position, { highest, uidNext, messages, expunges }: Newer): CatchUp {
  const common = { account: position.account, mailbox: position.mailbox };
  const there = messages.filter(({ uid }) => uid < uidNext);
  const old = there.filter(({ uid, modseq }) => uid <= position.highestUid && modseq <= highest);
  const gone = expunges.filter(({ modseq }) => modseq <= highest);
  const changes: MailboxChange[] = [
    // One that was there and has been changed since is told of now: its change alone would say nothing.
    ...there
      .filter(({ uid }) => uid > position.highestUid)
      .map(({ uid, modseq, flags }) => {
        return { kind: 'exists', ...common, modseq: Math.min(modseq, highest), uid, flags } as const;
      }),
    ...byModseq(old).map(([modseq, changed]) => {
      const flags = changed.map(({ uid, flags }) => ({ uid, flags }));
      return { kind: 'flags', ...common, modseq, messages: flags } as const;
    }),
    ...byModseq(gone).map(([modseq, entries]) => {
      const uids = [...new Set(entries.map(({ uid }) => uid))].sort((one, other) => one - other);
      return { kind: 'expunge', ...common, modseq, uids } as const;
    }),
  ];
  return {
    highestModseq: highest,
    changes: changes.sort((one, other) => one.modseq - other.modseq),
    modseqs: new Set([...there, ...gone].map(({ modseq }) => modseq)),
  };
}

function byModseq<Row extends { readonly modseq: number }>(rows: readonly Row[]) {
  return [...Map.groupBy(rows, ({ modseq }) => modseq)];
}
