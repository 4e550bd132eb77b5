import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OverQuota, StoreUnavailable } from '../../src/store/contract.ts';
import { TaskError } from '../../src/workers/task.ts';
import { mail } from '../harness/encrypted-mail.ts';
import { createTestWalks, envelope } from '../harness/walks.ts';

test('what stops a walk half way becomes a reply that is true, and is told', async () => {
  await using walks = await createTestWalks(['alice']);
  for (const [error, reply, told] of [
    [new StoreUnavailable('disk full'), /^451 4\.3\.0 Mail store/, 'store-unavailable disk full'],
    [new OverQuota('full'), /^552 5\.2\.2 Mailbox full$/, undefined],
    [new TaskError('busy', 'many'), /^452 4\.3\.1 /, undefined],
    [new TaskError('timeout', 'long'), /^452 4\.3\.1 /, undefined],
    [new TaskError('crashed', 'gone'), /^452 4\.3\.1 /, undefined],
    [new TaskError('failed', 'bug'), /^451 4\.3\.0 Internal error/, 'fault'],
    [new RangeError('bug'), /^451 4\.3\.0 Internal error/, 'fault'],
  ] as const) {
    walks.accept = () => Promise.reject(error);
    const before = walks.told().length;
    const verdict = await walks.submit(
      envelope(['alice'], { sender: 'alice@chat.test' }),
      mail({ from: 'alice@chat.test' }),
    );
    assert.ok(!verdict.accepted);
    assert.match(verdict.refusal.reply, reply);
    const events = [...(told === undefined ? [] : [told]), `message-refused ${verdict.refusal.code}`];
    assert.deepEqual(walks.told().slice(before), events);
  }
});
