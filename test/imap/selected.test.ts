import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Notice } from '../../src/imap/selected.ts';
import { createSelected } from '../../src/imap/selected.ts';
import type { AccountId, Change, Mailbox, MailboxId } from '../../src/store/contract.ts';

const account = 'a' as AccountId;
const id = 'm' as MailboxId;
const mailbox: Mailbox = {
  id,
  account,
  name: 'INBOX',
  uidValidity: 1,
  uidNext: 1,
  highestModseq: 1,
  subscribed: true,
};

const open = (uids: readonly number[], highestModseq = 10) =>
  createSelected({
    mailbox,
    snapshot: {
      uidValidity: 1,
      uidNext: (uids.at(-1) ?? 0) + 1,
      highestModseq,
      uids,
      firstUnseen: undefined,
    },
    readOnly: false,
    origin: 'me',
  });

const exists = (uid: number, modseq = 11): Change => ({
  kind: 'exists',
  account,
  mailbox: id,
  modseq,
  uid,
  flags: [],
});
const expunge = (uids: readonly number[], modseq = 11): Change => ({
  kind: 'expunge',
  account,
  mailbox: id,
  modseq,
  uids,
});
const flags = (uid: number, set: readonly string[], origin?: string, modseq = 11): Change => ({
  kind: 'flags',
  account,
  mailbox: id,
  modseq,
  messages: [{ uid, flags: set }],
  ...(origin === undefined ? {} : { origin }),
});

const ALL = { expunges: true, flags: true };
const HELD = { expunges: false, flags: true };

const cases: [string, readonly number[], readonly Change[], readonly Notice[], readonly number[]][] = [
  ['a new message', [1, 2], [exists(3)], [{ kind: 'exists', count: 3 }], [1, 2, 3]],
  ['several at once', [1], [exists(2), exists(5)], [{ kind: 'exists', count: 3 }], [1, 2, 5]],
  ['one told twice', [1], [exists(2), exists(2)], [{ kind: 'exists', count: 2 }], [1, 2]],
  ['one that the snapshot shows', [1, 2], [exists(2, 11)], [], [1, 2]],
  ['a change older than the snapshot', [1, 2], [expunge([2], 10), flags(1, ['\\Seen'], 'x', 9)], [], [1, 2]],
  [
    'expunges from the highest number down',
    [3, 5, 7, 9],
    [expunge([3, 7])],
    [
      { kind: 'expunge', number: 3 },
      { kind: 'expunge', number: 1 },
    ],
    [5, 9],
  ],
  ['an expunge told twice', [3, 5], [expunge([3]), expunge([3], 12)], [{ kind: 'expunge', number: 1 }], [5]],
  ['came and went before it was told', [1], [exists(2), expunge([2], 12)], [], [1]],
  [
    'expunges come before EXISTS, whose count is without them',
    [1, 2],
    [exists(3), expunge([1], 12)],
    [
      { kind: 'expunge', number: 1 },
      { kind: 'exists', count: 2 },
    ],
    [2, 3],
  ],
  [
    'flags of another, the last ones only',
    [1, 2],
    [flags(2, ['\\Seen'], 'x'), flags(2, [], 'x', 12)],
    [{ kind: 'flags', number: 2, flags: [], modseq: 12 }],
    [1, 2],
  ],
  ['our own flags', [1], [flags(1, ['\\Seen'], 'me')], [], [1]],
  [
    'our own after those of another that were not told',
    [1],
    [flags(1, ['\\Seen'], 'x'), flags(1, ['\\Seen', '\\Deleted'], 'me', 12)],
    [{ kind: 'flags', number: 1, flags: ['\\Seen', '\\Deleted'], modseq: 12 }],
    [1],
  ],
  [
    'flags of one that is gone',
    [1, 2],
    [flags(1, ['\\Seen'], 'x'), expunge([1], 12), flags(1, [], 'x', 13)],
    [{ kind: 'expunge', number: 1 }],
    [2],
  ],
  [
    'flags of one that was not told of',
    [1],
    [exists(2), flags(2, ['\\Seen'], 'x', 12)],
    [{ kind: 'exists', count: 2 }],
    [1, 2],
  ],
];

for (const [name, uids, changes, notices, after] of cases) {
  test(`tells once what changed: ${name}`, () => {
    const selected = open(uids);
    for (const change of changes) selected.hear(change);
    assert.deepEqual(selected.announce(ALL), notices);
    assert.deepEqual(selected.uids, after);
    assert.deepEqual(selected.announce(ALL), []);
    assert.equal(selected.untold, 0);
  });
}

test('message numbers stand still until expunges may be told', () => {
  const selected = open([1, 2, 3]);
  selected.hear(expunge([1]));
  selected.hear(exists(4, 12));
  assert.deepEqual(selected.announce(HELD), [{ kind: 'exists', count: 4 }]);
  assert.equal(selected.numberOf(3), 3);
  assert.equal(selected.anyGone([1]), true);
  assert.equal(selected.anyGone([2, 3]), false);
  assert.deepEqual(selected.resolve([{ from: 1, to: '*' }], false).uids, [1, 2, 3, 4]);
  assert.deepEqual(selected.announce(ALL), [{ kind: 'expunge', number: 1 }]);
  assert.equal(selected.numberOf(3), 2);
});

test('our own expunge counts once, whether its change comes before or after', () => {
  for (const early of [true, false]) {
    const selected = open([1, 2]);
    if (early) selected.hear(expunge([1]));
    selected.expunged([1]);
    if (!early) selected.hear(expunge([1]));
    assert.deepEqual(selected.announce(ALL), [{ kind: 'expunge', number: 1 }]);
    if (!early) selected.hear(expunge([1]));
    assert.deepEqual(selected.announce(ALL), []);
  }
});

test('a client that applies the notices always knows what we think it knows', () => {
  const step = fc.oneof(
    fc.constant({ kind: 'arrive' as const }),
    fc.record({ kind: fc.constant('expunge' as const), pick: fc.nat() }),
    fc.record({ kind: fc.constant('tell' as const), expunges: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const selected = open([]);
      const server: number[] = [];
      const client: number[] = [];
      let nextUid = 1;
      let modseq = 11;
      const tell = (expunges: boolean) => {
        for (const notice of selected.announce({ expunges, flags: true })) {
          if (notice.kind === 'expunge') client.splice(notice.number - 1, 1);
          else if (notice.kind === 'exists') {
            // The client asks for the UIDs of what is new.
            while (client.length < notice.count) client.push(selected.uids[client.length] ?? -1);
            assert.equal(client.length, notice.count);
          }
        }
        assert.deepEqual(client, selected.uids);
      };
      for (const each of steps) {
        modseq += 1;
        if (each.kind === 'arrive') {
          server.push(nextUid);
          selected.hear(exists(nextUid, modseq));
          nextUid += 1;
        } else if (each.kind === 'expunge' && server.length > 0) {
          const uids = server.splice(each.pick % server.length, 2);
          selected.hear(expunge(uids, modseq));
        } else if (each.kind === 'tell') tell(each.expunges);
      }
      tell(true);
      assert.deepEqual(client, server);
    }),
  );
});
