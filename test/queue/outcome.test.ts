import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day, minute } from '../../src/clock.ts';
import type { RecipientOutcome } from '../../src/outbound/consignment.ts';
import { judgeOutcomes, reasonOf } from '../../src/queue/outcome.ts';
import { MAX_REASON } from '../../src/store/contract.ts';

const start = Date.UTC(2026, 0, 2, 12);
const batch = (...recipients: string[]) => ({
  queuedAt: start,
  rows: recipients.map((recipient, index) => ({ id: String(index), recipient, attempts: 0 })),
});
const judging = { now: start, lifetime: 2 * day, chance: 0.5, stopped: false };
const problem = {
  status: '4.7.1',
  host: 'mx.other.test',
  reply: '451 4.7.1 greylisted',
  text: 'not taken for now',
};
const delivered: RecipientOutcome = { kind: 'delivered', via: 'smtp', host: 'mx.other.test' };
const deferred: RecipientOutcome = { kind: 'deferred', problem };
const failed: RecipientOutcome = { kind: 'failed', problem: { ...problem, status: '5.1.1' } };

test('each recipient has an outcome of its own', () => {
  const judged = judgeOutcomes(
    batch('a@x.test', 'b@x.test', 'c@x.test'),
    [delivered, deferred, failed],
    judging,
  );
  assert.deepEqual(judged.rows, [
    { kind: 'done' },
    {
      kind: 'retry',
      at: start + minute,
      reason: 'not taken for now; mx.other.test said: 451 4.7.1 greylisted',
    },
    { kind: 'done' },
  ]);
  assert.deepEqual(
    judged.bounced.map(({ index, recipient }) => [index, recipient.address, recipient.status]),
    [[2, 'c@x.test', '5.1.1']],
  );
});

test('at the end of its life a recipient is bounced with the last reason', () => {
  const judged = judgeOutcomes(batch('a@x.test'), [deferred], { ...judging, now: start + 2 * day });
  assert.deepEqual(judged.rows, [{ kind: 'done' }]);
  const [bounced] = judged.bounced;
  assert.equal(bounced?.recipient.status, '4.4.7');
  assert.equal(bounced.recipient.reply, problem.reply);
  assert.match(bounced.recipient.text, /^tried for 2 days .*not taken for now/);
});

test('what the shutdown broke off is due at once, however old', () => {
  const judged = judgeOutcomes(batch('a@x.test'), [deferred], {
    ...judging,
    now: start + 3 * day,
    stopped: true,
  });
  assert.deepEqual(
    judged.rows.map((row) => row.kind === 'retry' && row.at),
    [start + 3 * day],
  );
  assert.deepEqual(judged.bounced, []);
});

test('no row is lost for want of an outcome, no reason is too long', () => {
  assert.equal(judgeOutcomes(batch('a@x.test'), [], judging).rows[0]?.kind, 'retry');
  assert.equal(reasonOf({ ...problem, reply: 'x'.repeat(10_000) }).length, MAX_REASON);
});
