import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEEP_MS, createKeyFinder } from '../../src/authenticity/key-finder.ts';
import { DnsMissing, DnsTrouble } from '../../src/dns/resolver.ts';
import { createTestClock } from '../harness/clock.ts';

function finderOf(answer: (name: string) => Promise<string[][]>) {
  const asked: string[] = [];
  const clock = createTestClock();
  const resolver = { txt: (name: string) => (asked.push(name), answer(name)) };
  return { asked, clock, finder: createKeyFinder({ resolver, clock }) };
}

test('a key is kept for five minutes, unless it is forgotten', async () => {
  let record = 'p=AAAA';
  const { finder, asked, clock } = finderOf(async () => [[record]]);
  const find = async () => {
    const answer = await finder.find('n');
    assert.ok(answer.kind === 'key');
    return [answer.key.text, answer.kept];
  };
  assert.deepEqual(await find(), ['p=AAAA', false]);
  record = 'p=BBBB';
  clock.advance(KEEP_MS - 1);
  assert.deepEqual(await find(), ['p=AAAA', true]);
  clock.advance(1);
  assert.deepEqual(await find(), ['p=BBBB', false]);
  record = 'p=CCCC';
  finder.forget('n');
  assert.deepEqual(await find(), ['p=CCCC', false]);
  assert.equal(asked.length, 3);
});

test('what is no key is asked again each time, and trouble is told from a no', async () => {
  const answers: Record<string, () => Promise<string[][]>> = {
    missing: () => Promise.reject(new DnsMissing('no')),
    trouble: () => Promise.reject(new DnsTrouble('SERVFAIL')),
    fault: () => Promise.reject(new TypeError('a fault of the resolver')),
    revoked: async () => [['p=']],
    spf: async () => [['v=spf1 -all']],
  };
  const { finder, asked, clock } = finderOf((name) => answers[name]?.() ?? Promise.resolve([]));
  const kinds = { missing: 'none', trouble: 'trouble', fault: 'trouble', revoked: 'none', spf: 'none' };
  for (const [name, kind] of [...Object.entries(kinds), ...Object.entries(kinds)])
    assert.equal((await finder.find(name)).kind, kind, name);
  assert.equal(asked.length, 10);
  assert.equal(clock.waiting, 0, 'no timer is left');
});

test('a resolver that never answers is trouble after half a minute', async () => {
  const { finder, clock } = finderOf(() => new Promise(() => {}));
  const answer = finder.find('n');
  clock.advance(30_000);
  assert.equal((await answer).kind, 'trouble');
});

test('at most a thousand keys are kept, the oldest goes first', async () => {
  const { finder, asked } = finderOf(async () => [['p=AAAA']]);
  for (let i = 0; i < 1001; i++) await finder.find(`n${i}`);
  await finder.find('n1000');
  await finder.find('n1');
  assert.equal(asked.length, 1001);
  await finder.find('n0');
  assert.equal(asked.length, 1002);
});
