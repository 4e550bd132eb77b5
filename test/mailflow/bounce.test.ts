import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mail } from '../harness/encrypted-mail.ts';
import { createTestWalks, envelope, SIGNER } from '../harness/walks.ts';

const bob = `bob@${SIGNER}`;
const from = `<${bob}>`;

test('outside mail for nobody here goes back to a sender that is proven, by the queue and with the null sender', async () => {
  await using walks = await createTestWalks(['alice']);
  const sent = envelope(['alice', 'nobody', 'noone'], { sender: bob.toUpperCase() });
  assert.deepEqual(await walks.receive(sent, mail({ from })), { accepted: true });
  const [plan, bounce] = walks.plans;
  assert.equal(plan?.deliveries.length, 1, 'the other recipient is served');
  assert.deepEqual(bounce?.deliveries, []);
  assert.equal(bounce.outgoing?.sender, '');
  assert.deepEqual(bounce.outgoing.recipients, [{ address: bob.toUpperCase(), destination: SIGNER }]);
  assert.match(bounce.message.toString(), /^X-Failed-Recipients: nobody@chat\.test, noone@chat\.test\r$/m);
  assert.deepEqual(await walks.waiting(), [SIGNER]);
  assert.deepEqual(walks.told(), ['bounce-sent', 'message-received']);
});

test('who is full is bounced as well', async () => {
  await using walks = await createTestWalks(['alice', 'carol']);
  const accept = walks.accept;
  walks.accept = async (plan) => {
    if (plan.outgoing !== undefined) return accept(plan);
    const [first] = (await accept({ ...plan, deliveries: plan.deliveries.slice(0, 1) })).deliveries;
    return { deliveries: [...(first === undefined ? [] : [first]), { kind: 'over-quota' }] };
  };
  await walks.receive(envelope(['alice', 'carol'], { sender: bob }), mail({ from }));
  assert.match(walks.plans[1]?.message.toString() ?? '', /the mailbox is full/);
});

test('no backscatter: nobody is told whom the message does not prove, nor the null sender, nor a bounce', async () => {
  await using walks = await createTestWalks(['alice']);
  const report = mail({
    from: `<MAILER-DAEMON@${SIGNER}>`,
    contentType: 'Content-Type: multipart/report; boundary="b0undary=_1"',
    parts: ['Content-Type: text/plain\r\n\r\nIt did not arrive.'],
    headers: ['Auto-Submitted: auto-replied'],
  });
  for (const [sender, message] of [
    ['', mail({ from })],
    ['victim@elsewhere.test', mail({ from })],
    [`victim@${SIGNER}`, mail({ from })],
    [`bob@sub.${SIGNER}`, mail({ from })],
    [`mailer-daemon@${SIGNER}`, report],
  ] as const) {
    assert.deepEqual(await walks.receive(envelope(['nobody'], { sender }), message), { accepted: true });
  }
  assert.deepEqual(walks.plans, []);
  assert.equal(walks.told().filter((one) => one === 'recipient-dropped unknown').length, 5);

  // What is not signed is refused, not bounced.
  const forged = mail({ from: '<eve@elsewhere.test>' });
  const verdict = await walks.receive(envelope(['nobody'], { sender: 'eve@elsewhere.test' }), forged);
  assert.equal(verdict.accepted, false);
  assert.deepEqual(walks.plans, []);
});

test('what comes from outside never goes on elsewhere', async () => {
  await using walks = await createTestWalks(['alice']);
  await walks.receive(envelope(['alice', 'dora@third.test'], { sender: bob }), mail({ from }));
  assert.equal(walks.plans.length, 1);
  assert.equal(walks.plans[0]?.outgoing, undefined);
});
