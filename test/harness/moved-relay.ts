import type {
  MovedAccount,
  MovedMessage,
  MovedPushJob,
  MovedQueued,
  MoveSource,
  MoveTarget,
  SignUpToken,
} from '../../src/store/contract.ts';

/** A store in memory, as far as moving is concerned: what a move reads, and what it has written. */
export interface MovedRelay {
  accounts: MovedAccount[];
  /** By address and mailbox. */
  messages: Map<string, MovedMessage[]>;
  pushJobs: MovedPushJob[];
  queue: MovedQueued[];
  values: Map<string, string>;
  lastUidValidity: number;
  signUpTokens: SignUpToken[];
}

export function emptyRelay(): MovedRelay {
  return {
    accounts: [],
    messages: new Map(),
    pushJobs: [],
    queue: [],
    values: new Map(),
    lastUidValidity: 0,
    signUpTokens: [],
  };
}

/** Two accounts, three mailboxes, some mail, a job: the same each time. */
export function smallRelay(): MovedRelay {
  const mailbox = { name: 'INBOX', uidValidity: 7, uidNext: 9, highestModseq: 30, subscribed: true };
  const account = { passwordHash: 'h', createdDay: 0, lastLoginDay: 0, acceptsCleartext: false };
  return {
    accounts: [
      {
        ...account,
        address: 'a@x.test',
        tokens: [{ token: 't', setAt: 5 }],
        mailboxes: [mailbox, { ...mailbox, name: 'b' }],
      },
      { ...account, address: 'b@x.test', tokens: [], mailboxes: [mailbox] },
    ],
    messages: new Map([
      ['a@x.test INBOX', [message(1, 'one'), message(4, 'four'), message(8, '')]],
      ['a@x.test b', [message(2, 'two')]],
    ]),
    pushJobs: [{ token: 't', attempts: 0, since: 1, due: 2 }],
    queue: [queued('1', ['c@y.test', 'd@z.test']), queued('2', ['c@y.test'])],
    values: new Map([
      ['domain', 'x.test'],
      ['other', ''],
    ]),
    lastUidValidity: 7,
    signUpTokens: [signUpToken('one'), { ...signUpToken('two'), uses: undefined, expiresAt: undefined }],
  };
}

export function signUpToken(id: string): SignUpToken {
  return { id, hash: `hash of ${id}`, note: 'n', createdAt: 4, expiresAt: 9, uses: 3, used: 1 };
}

export function message(uid: number, text: string): MovedMessage {
  const bytes = Buffer.from(text);
  const dates = { internalDate: 1000 + uid, saveDate: 2000 + uid };
  return {
    uid,
    modseq: uid + 10,
    flags: ['\\Seen', 'k'],
    size: bytes.length,
    headerSize: 0,
    ...dates,
    message: bytes,
  };
}

export function queued(id: string, recipients: readonly string[]): MovedQueued {
  const row = { attempts: 1, due: 9, reason: 'r' };
  return {
    id,
    sender: 'a@x.test',
    queuedAt: 3,
    headerSize: 0,
    message: Buffer.from('q'),
    signature: { keys: 'k', fields: 'f' },
    rows: recipients.map((recipient) => ({ ...row, recipient, destination: recipient.slice(2) })),
  };
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

export function sourceOf(relay: MovedRelay): MoveSource {
  return {
    accounts: () => each(relay.accounts),
    messages: (address, mailbox, afterUid) =>
      each((relay.messages.get(`${address} ${mailbox}`) ?? []).filter(({ uid }) => uid > afterUid)),
    pushJobs: () => each(relay.pushJobs),
    queue: () => each(relay.queue),
    values: async () => relay.values,
    lastUidValidity: async () => relay.lastUidValidity,
    signUpTokens: async () => relay.signUpTokens,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** `onPut` is called with how many messages each call puts. */
export function targetOf(
  relay: MovedRelay,
  onPut: (messages: readonly MovedMessage[]) => void = () => {},
): MoveTarget {
  return {
    ...sourceOf(relay),
    begin: async () => {},
    putAccount: async (account) => {
      if (!relay.accounts.some(({ address }) => address === account.address)) relay.accounts.push(account);
    },
    lastUid: async (address, mailbox) => relay.messages.get(`${address} ${mailbox}`)?.at(-1)?.uid ?? 0,
    putMessages: async (address, mailbox, messages) => {
      onPut(messages);
      const key = `${address} ${mailbox}`;
      relay.messages.set(key, [...(relay.messages.get(key) ?? []), ...messages]);
    },
    putPushJobs: async (jobs) => void relay.pushJobs.push(...jobs),
    putQueued: async (one) => {
      if (!relay.queue.some(({ id }) => id === one.id)) relay.queue.push(one);
    },
    putValues: async (values) => {
      for (const [key, value] of values) relay.values.set(key, value);
    },
    putLastUidValidity: async (uidValidity) => {
      relay.lastUidValidity = uidValidity;
    },
    putSignUpTokens: async (tokens) => void relay.signUpTokens.push(...tokens),
    finish: async () => {},
  };
}
