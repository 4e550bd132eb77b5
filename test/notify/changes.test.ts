import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_LISTENERS_PER_ACCOUNT, TooManyListeners, createChanges } from '../../src/notify/changes.ts';
import type { AccountId, Change, MailboxId } from '../../src/store/contract.ts';

const alice = 'alice' as AccountId;
const bob = 'bob' as AccountId;

function change(account: AccountId, uid: number): Change {
  return { kind: 'exists', account, mailbox: 'inbox' as MailboxId, modseq: uid, uid, flags: [] };
}

function setUp() {
  const faults: unknown[] = [];
  const changes = createChanges({ events: { fault: (_where, error) => void faults.push(error) } });
  return { changes, faults };
}

describe('the bus of changes', () => {
  test('tells each change in the same tick to the sessions of its account, and to no others', () => {
    const { changes } = setUp();
    const heard: string[] = [];
    changes.subscribe(alice, (c) => heard.push(`a1 ${c.kind}`));
    changes.subscribe(alice, (c) => heard.push(`a2 ${c.kind}`));
    changes.subscribe(bob, (c) => heard.push(`b ${c.kind}`));
    changes.onPush(() => heard.push('push'));
    changes.publish(change(alice, 1));
    changes.publish({ kind: 'account-removed', account: bob });
    changes.publish({ kind: 'push' });
    assert.deepEqual(heard, ['a1 exists', 'a2 exists', 'b account-removed', 'push']);
  });

  test('a listener that throws is reported and keeps the change from nobody', () => {
    const { changes, faults } = setUp();
    const heard: string[] = [];
    const broken = new Error('broken');
    const fail = () => {
      throw broken;
    };
    changes.subscribe(alice, fail);
    changes.subscribe(alice, () => heard.push('second'));
    changes.onPush(fail);
    changes.onPush(() => heard.push('push'));
    changes.publish(change(alice, 1));
    changes.publish({ kind: 'push' });
    assert.deepEqual(heard, ['second', 'push']);
    assert.deepEqual(faults, [broken, broken]);
  });

  test('who leaves or joins while a change is told does not upset it', () => {
    const { changes } = setUp();
    const heard: string[] = [];
    const leave = changes.subscribe(alice, () => {
      heard.push('first');
      leave();
      leaveSecond();
      changes.subscribe(alice, () => heard.push('late'));
    });
    const leaveSecond = changes.subscribe(alice, () => heard.push('second'));
    changes.subscribe(alice, () => heard.push('third'));
    changes.publish(change(alice, 1));
    assert.deepEqual(
      heard,
      ['first', 'third'],
      'the second had left, the late one sees the change in the store',
    );
    changes.publish(change(alice, 2));
    assert.deepEqual(heard, ['first', 'third', 'third', 'late']);
  });

  test('unsubscribing twice is harmless, also when the same function listens again', () => {
    const { changes } = setUp();
    let heard = 0;
    const listen = () => void heard++;
    const leave = changes.subscribe(alice, listen);
    leave();
    changes.subscribe(alice, listen);
    const leaveThird = changes.subscribe(alice, listen);
    leave();
    leaveThird();
    leaveThird();
    changes.publish(change(alice, 1));
    assert.equal(heard, 1);
    const leavePush = changes.onPush(listen);
    leavePush();
    leavePush();
    changes.publish({ kind: 'push' });
    assert.equal(heard, 1);
  });

  test('an account has a bounded number of listeners; others are not touched by it', () => {
    const { changes } = setUp();
    const leave = Array.from({ length: MAX_LISTENERS_PER_ACCOUNT }, () => changes.subscribe(alice, () => {}));
    assert.throws(() => changes.subscribe(alice, () => {}), TooManyListeners);
    changes.subscribe(bob, () => {});
    leave[0]?.();
    changes.subscribe(alice, () => {});
  });
});
