import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day, hour, minute, second } from '../../src/clock.ts';
import { createLearned, MAX_ASKED, MAX_KNOWN } from '../../src/outbound/learned.ts';
import { createTestClock } from '../harness/clock.ts';

type Answer = { value: string; ttl?: number } | Error;

/** `next` is what the next question is answered with. */
function fixture() {
  const clock = createTestClock();
  const asked: string[] = [];
  const stop = new AbortController();
  const state = { next: { value: 'one', ttl: hour } as Answer };
  const learned = createLearned<string>(
    async (key) => {
      asked.push(key);
      const { next } = state;
      if (next instanceof Error) throw next;
      return { value: next.value, ttl: next.ttl };
    },
    clock,
    stop.signal,
  );
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const look = async (key = 'a') => {
    const found = learned.look(key);
    await settled();
    return found?.kind === 'known' ? found.value : found?.kind;
  };
  return { clock, asked, stop, state, learned, look };
}

test('what is not known is asked for beside, and counts from the next time on', async () => {
  const { asked, look } = fixture();
  assert.equal(await look(), undefined);
  assert.equal(await look(), 'one');
  assert.deepEqual(asked, ['a']);
});

test('it is asked for anew when its time is over; what is old counts until then', async () => {
  const { clock, state, asked, look } = fixture();
  await look();
  clock.advance(hour - second);
  await look();
  assert.equal(asked.length, 1);
  clock.advance(second);
  state.next = { value: 'two', ttl: hour };
  assert.equal(await look(), 'one');
  assert.equal(await look(), 'two');
  assert.equal(asked.length, 2);
});

test('what is a day too old does not count', async () => {
  const { clock, look } = fixture();
  await look();
  clock.advance(hour + day - second);
  assert.equal(await look(), 'one');
  clock.advance(hour + day);
  assert.equal(await look(), undefined);
});

test('a time to live of nothing is a minute, one of weeks is a day, none is an hour', async () => {
  for (const [ttl, life] of [
    [0, minute],
    [7 * day, day],
    [undefined, hour],
  ] as const) {
    const { clock, state, asked, look } = fixture();
    state.next = { value: 'one', ...(ttl === undefined ? {} : { ttl }) };
    await look();
    clock.advance(life - 1);
    await look();
    assert.equal(asked.length, 1, `${ttl}`);
    clock.advance(1);
    await look();
    assert.equal(asked.length, 2, `${ttl}`);
  }
});

test('a failure is told, and asked again after a minute; it does not overrule what is known', async () => {
  const { clock, state, asked, look } = fixture();
  state.next = new Error('no answer');
  await look();
  assert.equal(await look(), 'failed');
  assert.equal(asked.length, 1);
  clock.advance(minute);
  state.next = { value: 'one', ttl: minute };
  await look();
  assert.equal(await look(), 'one');

  state.next = new Error('no answer');
  clock.advance(minute);
  await look();
  assert.equal(await look(), 'one');
  clock.advance(2 * day);
  assert.equal(await look(), undefined);
  assert.equal(await look(), 'failed');
});

test('who wants to wait does, for the question that is under way', async () => {
  const { asked, learned } = fixture();
  learned.look('a');
  assert.deepEqual(await learned.ask('a'), { kind: 'known', value: 'one' });
  assert.deepEqual(asked, ['a']);
});

test('questions at once and what is remembered are bounded; nothing is asked when all ends', async () => {
  const { asked, look, learned, stop } = fixture();
  for (let i = 0; i < MAX_ASKED + 8; i += 1) learned.look(`${i}`);
  assert.equal(asked.length, MAX_ASKED);
  assert.equal(await learned.ask('one more'), undefined);
  for (let i = 0; i <= MAX_KNOWN; i += 1) await learned.ask(`key ${i}`);
  assert.equal(await look(`key ${MAX_KNOWN}`), 'one');
  assert.equal(await look('key 0'), undefined, 'the oldest was forgotten');
  stop.abort();
  assert.equal(await learned.ask('too late'), undefined);
});
