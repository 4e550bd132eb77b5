import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFilter, filterTasks, WORKER_FROM } from '../../src/filter/filter.ts';
import type { tasks } from '../../src/heavy.ts';
import { parseHeader } from '../../src/message/header.ts';
import { createPool } from '../../src/workers/pool.ts';
import { TaskError } from '../../src/workers/task.ts';
import { createTestClock } from '../harness/clock.ts';
import { mail } from '../harness/encrypted-mail.ts';

/** `size` bytes with text behind the parts, which is not encrypted. */
function withText(size: number): Buffer {
  return Buffer.concat([mail(), Buffer.alloc(size - mail().length, 'text\r\n')]);
}

test('a small message is judged at once, a big one in a worker, and a pool without room is told of', async () => {
  const sent: string[] = [];
  const filter = createFilter({
    run(task) {
      sent.push(task);
      return Promise.reject(new TaskError('busy', task));
    },
  });
  const facts = (message: Buffer) => ({ message, header: parseHeader(message) });
  const incoming = { acceptsCleartext: [false] };
  const outgoing = { sender: 'alice@chat.test', recipients: ['bob@chat.test'] };

  const small = facts(withText(WORKER_FROM - 1));
  assert.equal((await filter.judgeIncoming({ ...small, ...incoming })).ok, false);
  assert.equal((await filter.judgeOutgoing({ ...small, ...outgoing })).ok, false);
  assert.deepEqual(sent, []);

  const big = facts(withText(WORKER_FROM));
  await assert.rejects(filter.judgeIncoming({ ...big, ...incoming }), TaskError);
  await assert.rejects(filter.judgeOutgoing({ ...big, ...outgoing }), TaskError);
  assert.deepEqual(sent, ['judgeIncoming', 'judgeOutgoing']);
});

test('a worker comes to the judgement that the main thread comes to', async () => {
  const module = new URL('../../src/heavy.ts', import.meta.url);
  await using pool = createPool<typeof tasks>({
    module,
    size: 1,
    maxQueued: 4,
    taskTimeoutMs: 60_000,
    clock: createTestClock(),
  });
  const filter = createFilter(pool);
  const encrypted = Buffer.concat([
    Buffer.from(`X: ${'x'.repeat(500_000)}\r\n`),
    mail(),
    Buffer.alloc(50_000, '\r\n'),
  ]);
  for (const [message, passes] of [
    [encrypted, true],
    [withText(WORKER_FROM), false],
  ] as const) {
    assert.ok(message.length >= WORKER_FROM);
    const header = parseHeader(message);
    const incoming = { message, header, acceptsCleartext: [false] };
    const outgoing = { message, header, sender: 'alice@chat.test', recipients: ['bob@chat.test'] };
    const here = [filterTasks.judgeIncoming(incoming), filterTasks.judgeOutgoing(outgoing)];
    assert.deepEqual(
      here.map(({ ok }) => ok),
      [passes, passes],
    );
    assert.deepEqual([await filter.judgeIncoming(incoming), await filter.judgeOutgoing(outgoing)], here);
  }
});
