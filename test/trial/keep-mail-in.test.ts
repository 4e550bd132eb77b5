import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepMailIn } from '../../src/trial/keep-mail-in.ts';

test('each recipient fails for good, in words for the sender', async () => {
  const consignment = {
    destination: 'example.org',
    sender: 'alice@_teal.test',
    recipients: ['bob@example.org', 'carol@example.org'],
    message: Buffer.from(''),
  };
  const outcomes = await keepMailIn(consignment, new AbortController().signal);
  assert.equal(outcomes.length, 2);
  for (const outcome of outcomes) {
    assert.ok(outcome.kind === 'failed');
    assert.match(outcome.problem.text, /is a trial/);
  }
});
