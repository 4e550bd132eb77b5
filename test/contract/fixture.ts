import { after, before } from 'node:test';
import type { AccountId, Change, Mailbox, MailboxId, Store, StoreOptions } from '../../src/store/contract.ts';

/** Opens an empty store; disposing of it removes all it kept. */
export type OpenStore = (options: StoreOptions) => Promise<Store>;

/** 2026-01-01: most tests say `now` from here on. */
export const start = Date.UTC(2026, 0, 1);
export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;
export const MiB = 1024 * 1024;

/** One store for the tests of a `describe`, each of which works with accounts of its own. */
export interface Fixture {
  readonly store: Store;
  /** What was told about this account, in order. */
  changesOf(account: AccountId): Change[];
  /** Everything told since the store was opened. */
  readonly changes: readonly Change[];
  /** Called for every change, beside keeping it. */
  listener: ((change: Change) => void) | undefined;
  account(): Promise<Inbox>;
  deliver(to: Inbox, message?: Buffer, now?: number): Promise<number>;
}

export interface Inbox {
  readonly account: AccountId;
  readonly address: string;
  readonly inbox: MailboxId;
}

export function useStore(open: OpenStore, quota = 100 * MiB): Fixture {
  const changes: Change[] = [];
  let store: Store | undefined;
  let accounts = 0;
  const fixture: Fixture = {
    get store() {
      if (!store) throw new Error('the store is open within tests only');
      return store;
    },
    changes,
    changesOf: (account) => changes.filter((change) => 'account' in change && change.account === account),
    listener: undefined,
    account: async () => {
      const address = `user${++accounts}@example.org`;
      const { account } = await fixture.store.accounts.create(address, 'hash', start);
      return { account: account.id, address, inbox: (await mailbox(fixture.store, account.id, 'INBOX')).id };
    },
    deliver: async (to, message = text('hello'), now = start) => {
      const { deliveries } = await fixture.store.accept({
        now,
        message,
        headerSize: headerSize(message),
        deliveries: [{ account: to.account, push: false }],
      });
      const [outcome] = deliveries;
      if (outcome?.kind !== 'delivered') throw new Error(`not delivered: ${outcome?.kind}`);
      return outcome.uid;
    },
  };
  before(async () => {
    store = await open({
      quota,
      onChange: (change) => {
        changes.push(change);
        fixture.listener?.(change);
      },
    });
  });
  after(async () => {
    await store?.[Symbol.asyncDispose]();
  });
  return fixture;
}

export async function mailbox(store: Store, account: AccountId, name: string): Promise<Mailbox> {
  const found = await store.mailboxes.find(account, name);
  if (!found) throw new Error(`no mailbox ${name}`);
  return found;
}

/** A small message with this body. */
export function text(body: string): Buffer {
  return Buffer.from(`From: a@example.org\r\nSubject: test\r\n\r\n${body}\r\n`);
}

/** A message of exactly `size` bytes (at least 4), the same for the same size. */
export function sized(size: number): Buffer {
  const message = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz0123456789\r\n');
  message.write('A:\r\n\r\n'.slice(0, size));
  return message;
}

export function headerSize(message: Buffer): number {
  if (message.subarray(0, 2).toString() === '\r\n') return 2;
  const end = message.indexOf('\r\n\r\n');
  return end < 0 ? message.length : end + 4;
}

/** Reads a message whole. */
export async function bytesOf(store: Store, box: MailboxId, uid: number): Promise<Buffer | undefined> {
  await using body = await store.messages.body(box, uid);
  return body && (await body.read(0, body.size));
}
