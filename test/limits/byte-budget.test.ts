import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createByteBudget } from '../../src/limits/byte-budget.ts';

test('bytes are set aside up to the limit and come back once', () => {
  const budget = createByteBudget(100);
  const first = budget.reserve(60);
  assert.ok(first);
  assert.equal(budget.reserve(41), undefined);
  const second = budget.reserve(40);
  assert.ok(second);
  assert.equal(budget.reserve(1), undefined);
  first();
  first();
  assert.equal(budget.reserve(61), undefined, 'given back once only');
  assert.ok(budget.reserve(60));
});

test('nothing at all can always be set aside', () => {
  const budget = createByteBudget(0);
  assert.ok(budget.reserve(0));
  assert.equal(budget.reserve(1), undefined);
});

test('a peer gets no more than its share, and gives it back once', () => {
  const budget = createByteBudget(100, 40);
  const greedy = budget.of('192.0.2.1');
  const release = greedy.reserve(40);
  assert.ok(release);
  assert.equal(budget.of('192.0.2.1').reserve(1), undefined, 'on no connection of that peer');
  assert.ok(budget.of('192.0.2.2').reserve(40), 'another peer is not held up');
  assert.equal(budget.of('192.0.2.3').reserve(21), undefined, 'all together keep to the limit');
  release();
  release();
  assert.ok(greedy.reserve(40));
  assert.equal(greedy.reserve(1), undefined, 'given back once only');
});
