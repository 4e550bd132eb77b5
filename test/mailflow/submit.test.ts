import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreUnavailable } from '../../src/store/contract.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createTestWalks, envelope } from '../harness/walks.ts';

const alice = 'alice@chat.test';

test('a user’s message reaches those of ours it names, and wakes all but the user’s own devices', async () => {
  await using walks = await createTestWalks(['alice', 'bob']);
  const message = mail({
    from: 'ALICE@chat.test',
    headers: ['User-Agent: Duck/1.0', 'Subject: to be hidden'],
  });
  const sent = envelope(['bob', 'alice', 'nobody'], { sender: alice });
  assert.deepEqual(await walks.submit(sent, message), { accepted: true });
  const [plan, bounce] = walks.plans;
  assert.equal(plan?.deliveries.length, 2);
  assert.equal(plan.outgoing, undefined);
  assert.deepEqual(walks.wokenBy(plan), ['bob@chat.test']);
  assert.doesNotMatch(plan.message.toString(), /Duck|to be hidden/);
  assert.deepEqual(walks.told(), ['bounce-sent', 'message-submitted']);
  // The sender hears of the one that nobody has, and no device is woken for it.
  assert.match(bounce?.message.toString() ?? '', /^X-Failed-Recipients: nobody@chat\.test\r$/m);
  assert.deepEqual(bounce?.deliveries, [{ account: walks.idOf('alice'), push: false }]);
});

test('recipients elsewhere come into the queue with the plan, each once and as they were given', async () => {
  await using walks = await createTestWalks(['alice', 'bob']);
  const recipients = [
    'bob',
    'Carol+x@Other.Test',
    'Carol+x@other.test',
    'carol+X@other.test',
    'd@[IPv6:2001:DB8::0:1]',
  ];
  const sent = envelope(recipients, { sender: 'Alice@chat.test' });
  assert.deepEqual(await walks.submit(sent, mail({ from: alice })), { accepted: true });
  assert.equal(walks.plans.length, 1, 'all in one plan');
  assert.equal(walks.plans[0]?.deliveries.length, 1);
  assert.deepEqual(walks.plans[0]?.outgoing, {
    sender: alice,
    recipients: [
      { address: 'Carol+x@Other.Test', destination: 'other.test' },
      { address: 'carol+X@other.test', destination: 'other.test' },
      { address: 'd@[IPv6:2001:DB8::0:1]', destination: '[ipv6:2001:db8::1]' },
    ],
  });
  assert.deepEqual(walks.told(), ['message-submitted']);
});

test('who is full beside one elsewhere is bounced, the other one is served', async () => {
  await using walks = await createTestWalks(['alice', 'bob'], [], { quota: 1 });
  const sent = envelope(['bob', 'carol@other.test'], { sender: alice });
  assert.deepEqual(await walks.submit(sent, mail({ from: alice })), { accepted: true });
  assert.equal((await walks.waiting()).length, 1);
  // The sender's own mailbox is as full.
  assert.deepEqual(walks.told(), ['bounce-suppressed no room', 'message-submitted']);
});

test('where the bounce cannot be kept the message is not acknowledged', async () => {
  await using walks = await createTestWalks(['alice', 'bob']);
  const accept = walks.accept;
  walks.accept = (plan) =>
    walks.plans.length > 1 ? Promise.reject(new StoreUnavailable('down')) : accept(plan);
  const verdict = await walks.submit(envelope(['bob', 'nobody'], { sender: alice }), mail({ from: alice }));
  assert.match(verdict.accepted ? '' : verdict.refusal.reply, /^451 /);
  assert.equal(walks.plans.length, 2);
});

test('nobody sends as another or in the clear', async () => {
  await using walks = await createTestWalks(['alice', 'bob']);
  for (const [message, reply] of [
    [mail({ from: 'bob@chat.test' }), '500 Invalid FROM <bob@chat.test> for <alice@chat.test>'],
    [mail({ from: alice, parts: [] }), '523 Encryption Needed: Invalid Unencrypted Mail'],
  ] as const) {
    const verdict = await walks.submit(envelope(['bob'], { sender: alice }), message);
    assert.equal(verdict.accepted ? undefined : verdict.refusal.reply, reply);
  }
  assert.deepEqual(walks.plans, []);
  assert.equal(walks.checks, 0);
});
