import type { AccountId, MailboxId, Store } from '../../src/store/contract.ts';
import { headerSize, start, text } from '../contract/fixture.ts';

/** One piece of work on a mailbox. */
export interface Work {
  readonly kind: (typeof kindsOfWork)[number];
  readonly account: AccountId;
  /** Another account, where it takes two. */
  readonly other: AccountId;
  readonly inbox: MailboxId;
  readonly folder: MailboxId;
  /** What it is about; of those that bring a message its text, too. */
  readonly uids: readonly number[];
  readonly title: string;
}

/** All that a store writes for people. */
export const kindsOfWork = [
  'deliver',
  'deliver to two',
  'deliver and send',
  'append',
  'flags',
  'expunge',
  'copy',
  'move',
  'move within',
] as const;

/** Does it; answers with the UIDs it has given or removed. */
export async function startWork(store: Store, work: Work): Promise<readonly number[]> {
  const { kind, account, other, inbox, folder, uids, title } = work;
  const message = text(title);
  const accept = async (to: readonly AccountId[], ...recipients: string[]) => {
    const { deliveries } = await store.accept({
      now: start,
      message,
      headerSize: headerSize(message),
      deliveries: to.map((each) => ({ account: each, push: true })),
      ...(recipients.length === 0
        ? {}
        : {
            outgoing: {
              sender: 'a@example.org',
              recipients: recipients.map((address) => ({ address, destination: 'other.test' })),
            },
          }),
    });
    return deliveries.map((outcome) => (outcome.kind === 'delivered' ? outcome.uid : 0));
  };
  if (kind === 'deliver') return accept([account]);
  if (kind === 'deliver to two') return accept([account, other]);
  if (kind === 'deliver and send') return accept([account], `${title}@other.test`, `too.${title}@other.test`);
  if (kind === 'append') {
    const appended = await store.messages.append(inbox, {
      now: start,
      message,
      headerSize: headerSize(message),
      flags: [],
      internalDate: start,
    });
    return typeof appended === 'object' ? [appended.uid] : [];
  }
  if (kind === 'flags') {
    const { changed } = await store.messages.storeFlags(inbox, uids, { action: 'add', flags: ['Late'] });
    return changed.map(({ uid }) => uid);
  }
  if (kind === 'expunge') return store.messages.expunge(inbox, uids);
  const to = kind === 'move within' ? inbox : folder;
  const copied = await store.messages.copy(inbox, uids, to, { move: kind !== 'copy', now: start });
  return typeof copied === 'object' ? copied.target : [];
}
