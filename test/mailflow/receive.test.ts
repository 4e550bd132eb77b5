import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mail, secureJoinRequest } from '../harness/encrypted-mail.ts';
import { createTestWalks, envelope, SIGNER } from '../harness/walks.ts';

const from = `<bob@${SIGNER}>`;
const cleartext = (headers: string[] = []) =>
  mail({ from, contentType: 'Content-Type: text/plain', parts: [], ending: 'Hello\r\n', headers });
const bounce = mail({
  from: `<MAILER-DAEMON@${SIGNER}>`,
  contentType: 'Content-Type: multipart/report; boundary="b0undary=_1"',
  parts: ['Content-Type: text/plain\r\n\r\nIt did not arrive.'],
  headers: ['Auto-Submitted: auto-replied'],
});

test('a message is kept once, for each recipient that has an account, however it was named', async () => {
  await using walks = await createTestWalks(['alice', 'carol']);
  const recipients = ['alice', 'ALICE', 'alice+tag', '"alice"@chat.test', 'carol', 'nobody', 'nobody+tag'];
  assert.deepEqual(await walks.receive(envelope(recipients), mail({ from })), { accepted: true });
  const [plan] = walks.plans;
  assert.equal(walks.plans.length, 1);
  assert.ok(plan?.message.equals(mail({ from })));
  assert.equal(plan?.headerSize, mail({ from }).indexOf('\r\n\r\n') + 4);
  assert.deepEqual(walks.wokenBy(plan).sort(), ['alice@chat.test', 'carol@chat.test']);
  assert.deepEqual(walks.told(), ['recipient-dropped unknown', 'message-received']);
});

test('where nobody has the address the message is taken all the same, and the store is not asked', async () => {
  await using walks = await createTestWalks(['alice']);
  assert.deepEqual(await walks.receive(envelope(['nobody']), mail({ from })), { accepted: true });
  assert.deepEqual(walks.plans, []);
  assert.deepEqual(walks.told(), ['recipient-dropped unknown', 'message-received']);
});

test('who is full, or is removed meanwhile, is dropped beside others', async () => {
  await using walks = await createTestWalks(['alice', 'carol']);
  walks.accept = async () => ({ deliveries: [{ kind: 'over-quota' }, { kind: 'no-account' }] });
  assert.deepEqual(await walks.receive(envelope(['alice', 'carol']), mail({ from })), { accepted: true });
  assert.deepEqual(walks.told(), [
    'recipient-dropped over-quota',
    'recipient-dropped unknown',
    'message-received',
  ]);
});

test('the form is judged first, so that what is refused anyway asks nothing of DNS', async () => {
  await using walks = await createTestWalks(['alice']);
  for (const [message, told] of [
    [cleartext(), 'message-refused not_encrypted'],
    [mail({ from: `${from}, ${from}` }), 'message-refused from_invalid'],
    [mail({ from, headers: ['no field'] }), 'message-refused malformed_message'],
  ] as const) {
    assert.equal((await walks.receive(envelope(['alice']), message)).accepted, false);
    assert.equal(walks.told().at(-1), told);
  }
  assert.equal(walks.checks, 0);

  // Whatever passes must have been signed by its author's domain.
  const elsewhere = '<bob@elsewhere.test>';
  for (const message of [mail({ from: elsewhere }), secureJoinRequest({ from: elsewhere })]) {
    assert.equal((await walks.receive(envelope(['alice']), message)).accepted, false);
    assert.equal(walks.told().at(-1), 'message-refused dkim_invalid');
  }
  assert.equal(walks.checks, 2);
  assert.deepEqual(walks.plans, []);
});

test('cleartext wakes devices unless a machine wrote it, encrypted mail always does', async () => {
  await using walks = await createTestWalks(['alice'], ['alice']);
  for (const [message, wakes] of [
    [mail({ from }), true],
    [mail({ from, headers: ['Auto-Submitted: auto-generated'] }), true],
    [secureJoinRequest({ from }), true],
    [cleartext(), true],
    [cleartext(['Auto-Submitted: No']), true],
    [cleartext(['Auto-Submitted: auto-replied']), false],
    [cleartext(['Auto-Submitted: no', 'auto-submitted: auto-generated (vacation)']), false],
    [bounce, false],
  ] as const) {
    assert.deepEqual(await walks.receive(envelope(['alice']), message), { accepted: true });
    assert.equal(walks.wokenBy(walks.plans.at(-1)).length > 0, wakes, message.toString());
  }
});

test('what the network wrote on a message is gone when it is kept, after its signature was checked', async () => {
  await using walks = await createTestWalks(['alice']);
  const trace =
    'Received: from a by b\r\nDKIM-Signature: v=1;\r\n\tb=x\r\nauthentication-results: b; none\r\n';
  await walks.receive(envelope(['alice']), Buffer.concat([Buffer.from(trace), mail({ from })]));
  assert.ok(walks.plans[0]?.message.equals(mail({ from })));
});
