import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  const [plan] = walks.plans;
  assert.equal(plan?.deliveries.length, 2);
  assert.deepEqual(walks.wokenBy(plan), ['bob@chat.test']);
  assert.doesNotMatch(plan.message.toString(), /Duck|to be hidden/);
  assert.deepEqual(walks.told(), ['recipient-dropped unknown', 'message-submitted']);
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
