import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from '../../src/move/compare.ts';
import { copyEverything } from '../../src/move/copy.ts';
import type { MovedMessage } from '../../src/store/contract.ts';
import { emptyRelay, message, smallRelay, sourceOf, targetOf } from '../harness/moved-relay.ts';

test('all of it arrives, and it says how far it is', async () => {
  const relay = smallRelay();
  for (let n = 1000; n < 3200; n += 1)
    relay.accounts.push({ ...relay.accounts[1]!, address: `c${n}@x.test`, mailboxes: [] });
  const target = emptyRelay();
  const told: number[] = [];
  await copyEverything({
    source: sourceOf(relay),
    target: targetOf(target),
    name: '',
    tell: (accounts) => told.push(accounts),
  });
  assert.deepEqual((await compare(sourceOf(relay), sourceOf(target))).differences, []);
  assert.deepEqual(told, [1000, 2000]);
});

test('no more messages are in memory at once than so many, and so many bytes', async () => {
  const relay = smallRelay();
  const many = Array.from({ length: 450 }, (_, n) => message(n + 1, 'x'));
  // A buffer without content costs nothing here; only its length counts.
  const big = { ...message(1, ''), message: Buffer.alloc(5 * 1024 * 1024) };
  relay.messages.set('a@x.test INBOX', many);
  relay.messages.set(
    'a@x.test b',
    Array.from({ length: 5 }, (_, n) => ({ ...big, uid: n + 1 })),
  );
  const puts: (readonly MovedMessage[])[] = [];
  const target = targetOf(emptyRelay(), (messages) => puts.push(messages));
  await copyEverything({ source: sourceOf(relay), target, name: '', tell: () => {} });
  assert.deepEqual(
    puts.map(({ length }) => length),
    [200, 200, 50, 2, 2, 1],
  );
});

test('what is there already is not put again', async () => {
  const target = emptyRelay();
  target.messages.set('a@x.test INBOX', smallRelay().messages.get('a@x.test INBOX')!.slice(0, 2));
  const put: number[] = [];
  await copyEverything({
    source: sourceOf(smallRelay()),
    target: targetOf(target, (messages) => put.push(...messages.map(({ uid }) => uid))),
    name: '',
    tell: () => {},
  });
  assert.deepEqual(put, [8, 2]);
  assert.deepEqual((await compare(sourceOf(smallRelay()), sourceOf(target))).differences, []);
});
