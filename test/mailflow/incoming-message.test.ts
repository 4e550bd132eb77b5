import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createByteBudget } from '../../src/limits/byte-budget.ts';
import { receiveMessage } from '../../src/mailflow/incoming-message.ts';

const plenty = () => createByteBudget(Number.MAX_SAFE_INTEGER);

function receive(text: string, maxSize = 100, budget = plenty()) {
  const message = receiveMessage({ maxSize, budget });
  const used = message.push(Buffer.from(text, 'latin1'));
  const outcome = message.outcome();
  return { used, outcome: Buffer.isBuffer(outcome) ? outcome.toString('latin1') : outcome.code };
}

test('the bytes of the message, or why it is refused, with all of it read', () => {
  const x = (count: number) => 'x'.repeat(count);
  const table: readonly (readonly [string, string])[] = [
    ['Hello\r\n..\r\n.\r\n', 'Hello\r\n.\r\n'],
    [`${x(98)}\r\n.\r\n`, `${x(98)}\r\n`],
    [`${x(99)}\r\n.\r\n`, 'message_too_big'],
    [`..${x(97)}\r\n.\r\n`, `.${x(97)}\r\n`],
    ['.\r\n', 'message_empty'],
    ['a\0\r\n.\r\n', 'nul_byte'],
    ['a\nb\r\n.\r\n', 'line_endings'],
    ['a\rb\r\n.\r\n', 'line_endings'],
  ];
  for (const [text, outcome] of table) {
    assert.deepEqual(receive(text), { used: text.length, outcome }, JSON.stringify(text.slice(0, 20)));
  }
});

test('a message that grows over its budget is refused for now, and gives back what it held', () => {
  const budget = createByteBudget(50_000);
  const first = receiveMessage({ maxSize: 1_000_000, budget });
  assert.equal(first.push(Buffer.alloc(40_000, 'a')), -1);
  const second = receiveMessage({ maxSize: 1_000_000, budget });
  second.push(Buffer.alloc(20_000, 'b'));
  second.push(Buffer.from('\r\n.\r\n'));
  const outcome = second.outcome();
  assert.ok(!Buffer.isBuffer(outcome) && outcome.code === 'busy');
  first.push(Buffer.alloc(20_000, 'a'));
  assert.ok(!Buffer.isBuffer(first.outcome()), 'over the budget itself');
  assert.ok(budget.reserve(50_000), 'everything came back');
});

test('memory follows what was received, in pieces of any size, and is given back once', () => {
  const budget = createByteBudget(3_000_000);
  const message = receiveMessage({ maxSize: 2_000_000, budget });
  const expected: Buffer[] = [];
  for (let n = 0; n < 20_000; n += 1) {
    const piece = Buffer.from(`line ${n}${'.'.repeat(n % 50)}\r\n`);
    expected.push(piece);
    message.push(piece);
  }
  message.push(Buffer.from('.\r\n'));
  const outcome = message.outcome();
  assert.ok(Buffer.isBuffer(outcome));
  assert.ok(outcome.equals(Buffer.concat(expected)));
  const held = outcome.length;
  assert.equal(budget.reserve(3_000_000 - held + 1), undefined, 'at least its bytes are set aside');
  const left = budget.reserve(3_000_000 - Math.ceil(held * 1.5));
  assert.ok(left, 'at most half as much again is');
  left();
  message.release();
  message.release();
  assert.ok(budget.reserve(3_000_000));
  assert.equal(budget.reserve(1), undefined);
});
