import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compare } from '../../src/move/compare.ts';
import { emptyRelay, message, smallRelay, sourceOf } from '../harness/moved-relay.ts';
import type { MovedRelay } from '../harness/moved-relay.ts';

const compared = (one: MovedRelay, other: MovedRelay) => compare(sourceOf(one), sourceOf(other));

describe('two stores that hold the same', () => {
  test('have the same counts and checksum, and no differences', async () => {
    const { source, target, differences } = await compared(smallRelay(), smallRelay());
    assert.deepEqual(differences, []);
    assert.deepEqual(source, target);
    assert.deepEqual(source.counts, {
      accounts: 2,
      mailboxes: 3,
      messages: 4,
      bytes: 10,
      tokens: 1,
      pushJobs: 1,
      queued: 2,
      queueRows: 3,
      values: 2,
      signUpTokens: 2,
    });
    assert.match(source.checksum, /^[0-9a-f]{64}$/);
  });

  test('may give tokens, mailboxes, flags, the queue and values in another order', async () => {
    const other = smallRelay();
    const [alice] = other.accounts;
    other.accounts[0] = { ...alice!, mailboxes: alice!.mailboxes.toReversed() };
    other.messages.set(
      'a@x.test b',
      other.messages.get('a@x.test b')!.map((each) => ({ ...each, flags: each.flags.toReversed() })),
    );
    other.queue = other.queue.toReversed().map((each, n) => ({ ...each, id: `other ${n}` }));
    other.signUpTokens.reverse();
    other.values = new Map([...other.values].reverse());
    assert.deepEqual((await compared(smallRelay(), other)).differences, []);
  });
});

describe('a difference is found and named:', () => {
  const account = (relay: MovedRelay, change: object) =>
    (relay.accounts[0] = { ...relay.accounts[0]!, ...change });
  const inbox = (relay: MovedRelay, change: object) => {
    const [first, ...rest] = relay.messages.get('a@x.test INBOX')!;
    relay.messages.set('a@x.test INBOX', [{ ...first!, ...change }, ...rest]);
  };
  const queue = (relay: MovedRelay, change: object) => (relay.queue[0] = { ...relay.queue[0]!, ...change });
  const box = (relay: MovedRelay, change: object) =>
    account(relay, { mailboxes: relay.accounts[0]!.mailboxes.map((each) => ({ ...each, ...change })) });
  const changes: readonly (readonly [string, (relay: MovedRelay) => unknown, string])[] = [
    ['a hash', (relay) => account(relay, { passwordHash: 'i' }), 'a@x.test'],
    ['a day', (relay) => account(relay, { lastLoginDay: 86_400_000 }), 'a@x.test'],
    ['who takes cleartext', (relay) => account(relay, { acceptsCleartext: true }), 'a@x.test'],
    ['a token', (relay) => account(relay, { tokens: [{ token: 't', setAt: 6 }] }), 'a@x.test'],
    ['UIDVALIDITY', (relay) => box(relay, { uidValidity: 8 }), 'a@x.test'],
    ['UIDNEXT', (relay) => box(relay, { uidNext: 10 }), 'a@x.test'],
    ['HIGHESTMODSEQ', (relay) => box(relay, { highestModseq: 31 }), 'a@x.test'],
    ['a subscription', (relay) => box(relay, { subscribed: false }), 'a@x.test'],
    ['a mailbox less', (relay) => account(relay, { mailboxes: [] }), 'a@x.test'],
    ['a UID', (relay) => inbox(relay, { uid: 2 }), 'a@x.test'],
    ['a MODSEQ', (relay) => inbox(relay, { modseq: 2 }), 'a@x.test'],
    ['a flag', (relay) => inbox(relay, { flags: ['k'] }), 'a@x.test'],
    ['INTERNALDATE', (relay) => inbox(relay, { internalDate: 2 }), 'a@x.test'],
    ['the time in the mailbox', (relay) => inbox(relay, { saveDate: 2 }), 'a@x.test'],
    ['where the header ends', (relay) => inbox(relay, { headerSize: 1 }), 'a@x.test'],
    ['the size', (relay) => inbox(relay, { size: 4 }), 'a@x.test'],
    ['one byte', (relay) => inbox(relay, { message: Buffer.from('onf') }), 'a@x.test'],
    ['a message less', (relay) => relay.messages.delete('a@x.test b'), 'a@x.test'],
    ['a message more', (relay) => relay.messages.set('b@x.test INBOX', [message(1, '')]), 'b@x.test'],
    ['an account less', (relay) => relay.accounts.shift(), 'a@x.test'],
    ['the last account less', (relay) => relay.accounts.pop(), 'b@x.test'],
    [
      'an account more',
      (relay) => relay.accounts.push({ ...relay.accounts[0]!, address: 'c@x.test' }),
      'c@x.test',
    ],
    ['a job', (relay) => (relay.pushJobs = []), 'push jobs'],
    ['a queued message less', (relay) => relay.queue.pop(), 'queue'],
    ['a queued message twice', (relay) => relay.queue.push({ ...relay.queue[0]!, id: '3' }), 'queue'],
    ['the sender of one', (relay) => queue(relay, { sender: '' }), 'queue'],
    ['when it came', (relay) => queue(relay, { queuedAt: 4 }), 'queue'],
    ['its header', (relay) => queue(relay, { headerSize: 1 }), 'queue'],
    ['its bytes', (relay) => queue(relay, { message: Buffer.from('p') }), 'queue'],
    ['its signature', (relay) => queue(relay, { signature: undefined }), 'queue'],
    ['a recipient less', (relay) => queue(relay, { rows: relay.queue[0]!.rows.slice(1) }), 'queue'],
    ...(
      [
        ['a recipient', { recipient: 'e@y.test' }],
        ['a destination', { destination: 'e' }],
        ['the attempts', { attempts: 2 }],
        ['when it is due', { due: 10 }],
        ['a reason', { reason: 's' }],
      ] as const
    ).map(([what, change]) => {
      const changed = (relay: MovedRelay) =>
        queue(relay, { rows: relay.queue[0]!.rows.map((row) => ({ ...row, ...change })) });
      return [`${what} in the queue`, changed, 'queue'] as const;
    }),
    ['a value', (relay) => relay.values.set('other', 'x'), 'values'],
    ...(
      [
        ['the hash', { hash: 'h' }],
        ['the note', { note: '' }],
        ['when it was made', { createdAt: 5 }],
        ['when it expires', { expiresAt: undefined }],
        ['the uses', { uses: 4 }],
        ['what was used', { used: 2 }],
      ] as const
    ).map(([what, change]) => {
      const changed = (relay: MovedRelay) =>
        (relay.signUpTokens[0] = { ...relay.signUpTokens[0]!, ...change });
      return [`${what} of a sign-up token`, changed, 'sign-up tokens'] as const;
    }),
    ['a sign-up token less', (relay) => relay.signUpTokens.pop(), 'sign-up tokens'],
    ['the last UIDVALIDITY', (relay) => (relay.lastUidValidity = 8), 'values'],
  ];
  for (const [what, change, named] of changes)
    test(what, async () => {
      const changed = smallRelay();
      change(changed);
      for (const [one, other] of [[smallRelay(), changed] as const, [changed, smallRelay()] as const]) {
        const { source, target, differences } = await compared(one, other);
        assert.deepEqual(differences, [named]);
        assert.notEqual(source.checksum, target.checksum);
      }
    });

  test('no more than twenty of many', async () => {
    const many = emptyRelay();
    for (let n = 100; n < 150; n += 1)
      many.accounts.push({ ...smallRelay().accounts[1]!, address: `${n}@x.test` });
    assert.equal((await compared(many, emptyRelay())).differences.length, 20);
  });
});
